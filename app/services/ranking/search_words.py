"""Words: how texts and searches are taken apart, the same on both databases.

A word is a run of letters, digits and marks. Scripts without spaces between words (Chinese, Japanese, Thai
and their kin) are taken apart into single characters, as emoji and a few signs are; characters that follow
each other in a search have to do so in the text. Case, accents, vowel points and the width of letters make no
difference. The index and the databases see nothing but such words, with spaces between them.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

MOST_WORDS = 16_000
"""So many words of a text can be found: Postgres counts places up to 16,383."""
LONGEST_WORD = 100
_POINTS = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670\u0640]"
)
_ALONE = (
    "\u0e00-\u0e7f\u0e80-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Tibetan, Burmese, Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U000323af"  # Chinese and Japanese
)
_SIGNS = "+#$%&@\u00a2-\u00a5\u20a0-\u20cf\u2190-\u2bff\U0001f000-\U0001faff"
# Marks of Indic and other scripts, which Python does not count among the letters.
_MARKS = (
    "\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09d7"
    "\u0a01-\u0a51\u0a70-\u0d83\u0dca-\u0df3"
)
_WORD = re.compile(f"[{_ALONE}{_SIGNS}]|(?:[^\\W_{_ALONE}]|[{_MARKS}]){{1,{LONGEST_WORD}}}")
_ASCII_WORD = re.compile(f"[a-z0-9]{{1,{LONGEST_WORD}}}|[+#$%&@]")
_PIECE = re.compile(
    '["\u201c\u201d\u201e]([^"\u201c\u201d\u201e]*)["\u201c\u201d\u201e]|([^\\s"\u201c\u201d\u201e]+)'
)


@dataclass(frozen=True)
class Term:
    """Words that follow each other in a text; the last one may go on, but for one in quotes."""

    words: tuple[str, ...]
    is_exact: bool

    @property
    def is_beginning(self) -> bool:
        """Whether a text's word may be longer than the last word asked for."""
        return not self.is_exact and _ends_in_letters(self.words[-1])


def _ends_in_letters(word: str) -> bool:
    return re.fullmatch(f"[{_ALONE}{_SIGNS}]", word) is None


def fold(text: str) -> str:
    """Return a text without the differences that a search looks over."""
    if text.isascii():
        return text.lower()
    bare = _POINTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFC", bare)


def words_of(text: str) -> list[str]:
    """Return the words of a text, in its order."""
    return (_ASCII_WORD if text.isascii() else _WORD).findall(fold(text))


def prepared(text: str) -> str:
    """Return a text's words with spaces between them, as SQLite indexes them."""
    return " ".join(words_of(text)[:MOST_WORDS])


def tsvector(text: str) -> str:
    """Return a text's words with their places, as Postgres indexes them."""
    places: dict[str, list[str]] = {}
    for place, word in enumerate(words_of(text)[:MOST_WORDS], start=1):
        places.setdefault(word, []).append(str(place))
    return " ".join(f"'{word}':{','.join(found)}" for word, found in places.items())


@lru_cache(maxsize=200)
def terms_of(search: str) -> tuple[Term, ...]:
    """Return what a search asks for; all of it must be there. Quotes hold words together, exactly."""
    found = []
    for piece in _PIECE.finditer(search):
        is_exact = piece[1] is not None
        if words := words_of(piece[1] if is_exact else piece[2]):
            found.append(Term(tuple(words), is_exact))
    return tuple(dict.fromkeys(found))


def marked(text: str, search: str) -> list[tuple[str, bool]]:
    """Return a text in parts, each with whether it is one that the search has found."""
    if not search:
        return [(text, False)] if text else []
    ends = [0]
    parts: list[tuple[str, bool]] = []
    for start, end in _merged(_places(text, terms_of(search))):
        parts += [(text[ends[-1] : start], False), (text[start:end], True)]
        ends.append(end)
    parts.append((text[ends[-1] :], False))
    return [part for part in parts if part[0]]


def _places(text: str, terms: tuple[Term, ...]) -> list[tuple[int, int]]:
    spans = list(_spans(text)) if terms else []
    words = [word for word, _, _ in spans]
    return sorted(
        (spans[at][1], spans[at + len(term.words) - 1][1] + _shown(term, spans[at + len(term.words) - 1]))
        for term in terms
        for at in _found_at(term, words)
    )


def _found_at(term: Term, words: list[str]) -> Iterator[int]:
    """Yield where among the words of a text those of a term begin."""
    *before, last = term.words
    stands: Callable[[str, str], bool] = str.startswith if term.is_beginning else str.__eq__
    for at, word in enumerate(words[len(before) :]):
        if stands(word, last) and words[at : at + len(before)] == before:
            yield at


def _shown(term: Term, last: tuple[str, int, int]) -> int:
    """Return how many characters of the last word are marked: its beginning, if letters are as they were."""
    word, start, end = last
    return len(term.words[-1]) if len(word) == end - start else end - start


def _spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield a text's words with where each begins and ends in the text as it is written."""
    if text.isascii():
        yield from ((found[0], *found.span()) for found in _ASCII_WORD.finditer(fold(text)))
        return
    lowered = text.lower()
    if len(lowered) == len(text) and fold(text) == lowered and not any(map(unicodedata.combining, text)):
        yield from ((found[0], *found.span()) for found in _WORD.finditer(lowered))
        return
    folded, places = [], []
    for at, cluster in _clusters(text):
        changed = fold(cluster)
        folded.append(changed)
        places += [at] * len(changed)
    whole = "".join(folded)
    places.append(len(text))
    for found in _WORD.finditer(whole):
        last = places[found.end() - 1]
        after = next((place for place in places[found.end() :] if place > last), len(text))
        yield found[0], places[found.start()], after


def _clusters(text: str) -> Iterator[tuple[int, str]]:
    """Yield each character with the marks that follow it."""
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or not unicodedata.combining(text[at]):
            yield start, text[start:at]
            start = at


def _merged(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in places:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
