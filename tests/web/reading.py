"""What a page says, without the data that it shows."""

import re
from collections.abc import Collection
from html.parser import HTMLParser

DATA = frozenset({"bdi", "code", "pre", "kbd", "script", "style", "textarea"})
SHOWN = ("aria-label", "title", "placeholder", "alt", "value")
SAID_BY_SCRIPTS = (
    "data-sentence",
    "data-one",
    "data-many",
    "data-then",
    "data-too-large",
    "data-unreachable",
)
ENGLISH = re.compile(r"[A-Za-z][a-z'’]*,?(?: [A-Za-z][a-z'’]+,?){2,}")


class Said(HTMLParser):
    """The texts of a page and its attributes, but for those of elements that hold data."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.texts += [given[name] or "" for name in (*SHOWN, *SAID_BY_SCRIPTS) if given.get(name)]
        if tag in DATA:
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.texts.append(" ".join(data.split()))


def english_in(page: str, *, data: Collection[str]) -> set[str]:
    """Return runs of three English words or more, but for what is data."""
    said = Said()
    said.feed(page)
    said.close()
    found = set()
    for text in said.texts:
        for one in data:
            text = text.replace(one, "")  # noqa: PLW2901 — piece by piece
        found |= {run[0] for run in ENGLISH.finditer(text)}
    return found
