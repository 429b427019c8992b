"""Sentences that were kept in English, in the language of whoever reads them now.

A worker has no language: what it says of a job is kept in English, figures and all. Where a page shows that,
the sentence of the catalogue that it was made of is found again, and made anew.
"""

import re
from functools import cache, lru_cache

from app.languages import ENGLISH, catalogue, chosen

_FIGURE = re.compile(r"%\((\w+)\)[sr]|%%")
_BETWEEN = re.compile(r"(?<=[.!?]) (?=[A-Z0-9])")
MOST_CHARS = 2000
"""Of what is looked for; sentences are shorter."""
LEAST_LETTERS = 12
"""Sentences with fewer letters besides their figures would fit too much."""

Frame = tuple[re.Pattern[str], str]


def retold(kept: str) -> str:
    """Return a sentence, or several, that were kept in English; what is in no catalogue stays as it is."""
    language = chosen()
    if language == ENGLISH or not kept or len(kept) > MOST_CHARS:
        return kept
    whole = _retold(kept, language)
    if whole is not None:
        return whole
    parts = [_retold(part, language) or part for part in _BETWEEN.split(kept)]
    return " ".join(parts)


@lru_cache(maxsize=2048)
def _retold(kept: str, language: str) -> str | None:
    said = catalogue(language).gettext(kept)
    if said != kept:
        return said
    for pattern, frame in _frames(language):
        found = pattern.fullmatch(kept)
        if found:
            return _filled(frame, found.groupdict())
    return None


def _filled(frame: str, figures: dict[str, str]) -> str:
    return _FIGURE.sub(lambda found: figures.get(found[1], "") if found[1] else "%", frame)


@cache
def _frames(language: str) -> list[Frame]:
    """Return the sentences with figures as patterns, those with the most letters of their own first."""
    catalog = getattr(catalogue(language), "_catalog", {})
    frames = []
    for key, said in catalog.items():
        english = key[0] if isinstance(key, tuple) else key
        letters = len(re.sub(r"[^A-Za-z]", "", _FIGURE.sub("", english)))
        if "%(" in english and said and letters >= LEAST_LETTERS:
            frames.append((letters, _pattern(english), said))
    frames.sort(key=lambda frame: -frame[0])
    return [(pattern, said) for _letters, pattern, said in frames]


def _pattern(english: str) -> re.Pattern[str]:
    parts, at, seen = [], 0, set()
    for found in _FIGURE.finditer(english):
        parts.append(re.escape(english[at : found.start()]))
        name = found[1]
        if name is None:
            parts.append("%")
        elif name in seen:
            parts.append(f"(?P={name})")
        else:
            parts.append(f"(?P<{name}>.*?)")
            seen.add(name)
        at = found.end()
    parts.append(re.escape(english[at:]))
    return re.compile("".join(parts), re.DOTALL)
