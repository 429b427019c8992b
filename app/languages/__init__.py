"""The languages of the interface: one catalogue of sentences, and the language of whoever asks.

Sentences stand in the code and the templates in English, with their figures as `%(name)s`, and are the keys
of the catalogue. `_` and `n_` give them in the language of the request; outside of one, as in a worker, that
is English. `N_` only marks a sentence that is a constant, so that it gets into the catalogue.
"""

import gettext
import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "zh-Hans": "简体中文"}
"""Each language by its own name."""
RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ps", "ur", "yi"})

_chosen: ContextVar[str] = ContextVar("language", default=ENGLISH)


def chosen() -> str:
    """Return the language of this request, as in `LANGUAGES`."""
    return _chosen.get()


def direction(language: str) -> str:
    """Return `rtl` for a language that is written from the right, else `ltr`."""
    return "rtl" if language.partition("-")[0] in RIGHT_TO_LEFT else "ltr"


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Give sentences in a language while the block lasts."""
    token = _chosen.set(language if language in LANGUAGES else ENGLISH)
    try:
        yield
    finally:
        _chosen.reset(token)


def _(sentence: str, /, **figures: Any) -> str:
    """Return a sentence in the language of this request, with its figures filled in."""
    said = catalogue(chosen()).gettext(sentence)
    return said % figures if figures else said


def n_(one: str, many: str, n: int, /, **figures: Any) -> str:
    """Return the sentence for `n` things; `%(n)s` stands for their number."""
    return catalogue(chosen()).ngettext(one, many, n) % ({"n": n} | figures)


def pgettext(context: str, sentence: str) -> str:
    """Return a sentence that is another one elsewhere, by what it is about."""
    return catalogue(chosen()).pgettext(context, sentence)


def N_(sentence: str) -> str:  # noqa: N802 — the name that translators' tools know
    """Mark a constant for the catalogue; it is translated where it is shown."""
    return sentence


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Return the sentences of a language."""
    if language == ENGLISH:
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    with (Path(__file__).parent / f"{language}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language.replace("-", "_")))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
