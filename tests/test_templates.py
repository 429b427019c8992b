"""The rules every template follows, so that pages work without JavaScript and under a strict policy."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
PARTIALS = [path for path in TEMPLATES if path.name.startswith("_")]
NEEDS = re.compile(r"\{# needs: .+ #\}")
JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
ELSEWHERE = re.compile(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", re.IGNORECASE)
NAMESPACES = re.compile(r"https?://www\.w3\.org/[0-9a-zA-Z/#-]+")


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    line: int


@dataclass
class Seen(HTMLParser):
    """The elements of a page in order, and those that have no parent."""

    elements: list[Element] = field(default_factory=list)
    roots: list[Element] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self.getpos()[0])
        self.elements.append(element)
        if not self.open_tags:
            self.roots.append(element)
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open_tags.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags, f"line {self.getpos()[0]}: </{tag}> closes nothing"
        assert self.open_tags.pop() == tag, f"line {self.getpos()[0]}: </{tag}> closes another element"


def parse(path: Path) -> Seen:
    """Read a template as HTML: expressions stand as ‹expression›, statements are left out."""
    source = EXPRESSION.sub(
        lambda found: f"‹{found[1].strip().replace(chr(34), chr(39))}›", path.read_text("utf-8")
    )
    seen = Seen()
    seen.feed(JINJA.sub("", source))
    seen.close()
    assert not seen.open_tags, f"{path.name} leaves open: {seen.open_tags}"
    return seen


def elements(*tags: str) -> Iterator[tuple[str, Element]]:
    for path in TEMPLATES:
        for element in parse(path).elements:
            if not tags or element.tag in tags:
                yield f"{path.relative_to(ROOT)}:{element.line} <{element.tag}>", element


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT / "templates"))


def test_there_are_templates() -> None:
    assert PARTIALS
    assert len(TEMPLATES) > len(PARTIALS)


@pytest.mark.parametrize("path", PARTIALS, ids=name_of)
def test_a_partial_says_what_it_needs(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert NEEDS.fullmatch(first), "its first line is not {# needs: … #}"


@pytest.mark.parametrize("path", PARTIALS, ids=name_of)
def test_a_partial_is_one_element_with_an_id(path: Path) -> None:
    """Alternatives of an `if` may each be that element: they have the same id."""
    ids = {root.attributes.get("id") for root in parse(path).roots}
    assert len(ids) == 1
    assert None not in ids


def test_every_write_is_a_form_that_works_without_javascript() -> None:
    posts = [(where, form) for where, form in elements("form") if form.attributes.get("method") == "post"]
    assert posts
    wrong = [
        where
        for where, form in posts
        if not form.attributes.get("action")
        or (
            "data-plain" not in form.attributes
            and form.attributes.get("hx-post") != form.attributes["action"]
        )
    ]
    assert wrong == []


def test_only_forms_write() -> None:
    verbs = {"hx-put", "hx-patch", "hx-delete"}
    wrong = [where for where, element in elements() if verbs & set(element.attributes)]
    wrong += [
        where for where, element in elements() if "hx-post" in element.attributes and element.tag != "form"
    ]
    assert wrong == []


def test_links_and_filters_work_without_javascript() -> None:
    wrong = [
        where
        for where, element in elements("a", "form")
        if "hx-get" in element.attributes
        and element.attributes["hx-get"] != element.attributes.get("href" if element.tag == "a" else "action")
    ]
    assert wrong == []


def test_nothing_is_inline() -> None:
    wrong = [
        f"{where} {name}"
        for where, element in elements()
        for name in element.attributes
        if name == "style" or name.startswith(("on", "hx-on", "hx-vals", "hx-vars"))
    ]
    wrong += [where for where, _ in elements("style")]
    wrong += [where for where, script in elements("script") if not script.attributes.get("src")]
    assert wrong == []


@pytest.mark.parametrize("folder", ["templates", "static"])
def test_nothing_comes_from_elsewhere(folder: str) -> None:
    files = [path for path in (ROOT / folder).rglob("*.*") if path.suffix in {".html", ".css", ".js", ".svg"}]
    assert files
    links = {
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in files
        if "vendor" not in path.parts
        for found in ELSEWHERE.finditer(NAMESPACES.sub("", path.read_text(encoding="utf-8")))
    }
    assert links == set()


def test_user_text_is_escaped() -> None:
    raw = re.compile(r"\|\s*safe\b|\bautoescape\s+false|Markup\(")
    files = [*TEMPLATES, *(ROOT / "app").rglob("*.py")]
    assert [
        str(path.relative_to(ROOT)) for path in files if raw.search(path.read_text(encoding="utf-8"))
    ] == []


def test_vendored_files_carry_their_version_and_licence() -> None:
    scripts = [path for path in (ROOT / "static" / "vendor").iterdir() if path.suffix in {".js", ".css"}]
    assert scripts
    for path in scripts:
        assert re.search(r"-\d+\.\d+\.\d+\.", path.name)
        assert (path.parent / f"{path.name.split('-')[0]}-LICENSE.txt").exists()
