"""The catalogues of the languages: whole, up to date, and nothing of the pages outside of them."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import numpy as np
import pytest
from babel.messages.catalog import Catalog, Message

from app.languages import ENGLISH, LANGUAGES, _, catalogue, chosen, direction, n_, speaking
from app.languages.asking import best_of
from app.languages.retelling import retold
from app.science.autofix import recommend
from app.web.words import percent
from docs.translations import FOLDER, gather, read, renewed

ROOT = Path(__file__).parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
OTHERS = [language for language in LANGUAGES if language != ENGLISH]
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{[\w:.%]*\}")
TAG = re.compile(r"</?[a-z][a-z0-9]*\b")
SHOWN = {"aria-label", "title", "placeholder", "alt"}
SPEAKING = {"_", "gettext", "ngettext", "pgettext", "npgettext"}
WORD = re.compile(r"[A-Za-z]{2,}")
SENTENCE = re.compile(r"[A-Za-z]{2,},? [A-Za-z]{2,}")
SAME_EVERYWHERE = {
    "API", "‹› API", "Setright", "· Setright", "Webhooks", "SVG", "PNG", "CSV",
    "‹› · ‹› workbench", "openai", "SHA-256", "https://host/v1", "https://host/setright",
    "scoring.finished export.finished", "order_status = O", "text,label Where is my parcel?,order_status",
    'class="mark-‹›" fill="‹›" stroke="‹›" stroke-width="‹›" stroke-dasharray="‹›"',
}  # fmt: skip
"""Names, examples and code: what no language translates."""


@pytest.fixture(scope="module")
def found() -> Catalog:
    return gather()


def sentences(language: str) -> list[Message]:
    return [message for message in read(language) if message.id]


def said(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


def english(message: Message) -> list[str]:
    return [message.id] if isinstance(message.id, str) else list(message.id)


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_is_up_to_date(language: str, found: Catalog) -> None:
    """Run `make languages` where this fails, and translate what is new."""
    path = FOLDER / f"{language}.po"
    now, then = renewed(language, found).decode(), path.read_text("utf-8")
    assert set(now.splitlines()) ^ set(then.splitlines()) == set()
    assert now == then


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_is_whole(language: str) -> None:
    assert len(sentences(language)) > 800
    missing = [message.id for message in sentences(language) if message.fuzzy or not all(said(message))]
    assert missing == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_figures_and_the_markup_of_its_sentence(language: str) -> None:
    wrong = []
    for message in sentences(language):
        for sign in (PLACEHOLDER, TAG):
            # Of a sentence about one thing the number may be a word: the many say which figures there are.
            wanted = sorted(sign.findall(english(message)[-1]))
            wrong += [
                (english(message)[-1], one)
                for one in said(message)
                if (
                    sorted(sign.findall(one)) != wanted
                    if sign is TAG
                    else set(sign.findall(one)) != set(wanted)
                )
            ]
    assert wrong == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_sentence_with_figures_can_be_filled_in(language: str) -> None:
    for message in sentences(language):
        if not message.python_format or "%(" not in english(message)[-1]:
            continue
        figures = {name: 1 for one in english(message) for name in re.findall(r"%\((\w+)\)", one)}
        for one in said(message):
            assert "%(" not in one % figures


def test_every_language_has_a_catalogue_and_every_catalogue_a_language() -> None:
    assert {path.stem for path in FOLDER.glob("*.po")} == set(OTHERS)


def outside(source: str) -> str:
    """Return a template as HTML without what is in the catalogue; what code fills in stands as ‹›."""
    tokens = list(jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True).lex(source))
    parts, is_inside = [], False
    for at, (_line, kind, value) in enumerate(tokens):
        if kind == "block_begin":
            names = [token[2] for token in tokens[at + 1 : at + 4] if token[1] == "name"]
            is_inside = (is_inside or names[:1] == ["trans"]) and names[:1] != ["endtrans"]
        elif kind == "variable_begin" and not is_inside:
            parts.append("‹›")
        elif kind == "data" and not is_inside:
            parts.append(value)
    return "".join(parts)


class Texts(HTMLParser):
    """The texts that a page shows or says, but for those of code."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside.append(tag)
        self.found += [value or "" for name, value in attrs if name in SHOWN]

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"code", "pre", "kbd", "script", "style"} & set(self.inside):
            self.found.append(data)


def untold(source: str) -> Iterator[str]:
    """Give the texts of a template that are in no catalogue."""
    texts = Texts()
    texts.feed(outside(source))
    texts.close()
    for text in texts.found:
        shown = " ".join(text.split())
        if WORD.search(shown) and shown not in SAME_EVERYWHERE:
            yield shown
    tokens = [
        token
        for token in jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True).lex(source)
        if token[1] != "whitespace"
    ]
    for at, (_line, kind, value) in enumerate(tokens):
        before = [token[2] for token in tokens[max(at - 4, 0) : at]]
        if kind == "string" and SENTENCE.search(value) and not SPEAKING & set(before):
            yield value


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_all_text_of_a_template_is_in_the_catalogue(path: Path) -> None:
    assert list(untold(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Hello you</p>",
        '<p title="Hello">{{ name }}</p>',
        '<p>{{ name or "no label" }}</p>',
        '{% set title = "Two words" %}',
        "<p>{% trans %}Told{% endtrans %} Untold</p>",
    ],
)
def test_text_outside_of_the_catalogue_is_found(source: str) -> None:
    assert list(untold(source))


def test_text_in_the_catalogue_is_none_outside() -> None:
    told = '<p title="{{ _("Hello you") }}">{% trans n=n %}One row{% pluralize n %}{{ n }} rows{% endtrans %}'
    told += " · {{ n }}</p>"
    assert list(untold(told)) == []


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh", "zh-Hans"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("zh-Hans-SG", "zh-Hans"),
        ("zh-TW", "zh-Hans"),
        ("zh-Hant-HK, en;q=0.5", "zh-Hans"),
        ("ZH-cn", "zh-Hans"),
        ("en-GB, zh;q=0.9", "en"),
        ("de, zh;q=0.3, en;q=0.2", "zh-Hans"),
        ("zh;q=0, *", "en"),
        ("zh;q=0", "en"),
        ("en;q=0, *;q=0.5", "zh-Hans"),
        ("*", "en"),
        ("fr-CA", "en"),
        ("zh;q=nonsense, en;q=0.1", "en"),
        ("zh;q=inf, en;q=0.1", "en"),
        (";;;,,=", "en"),
        ("z", "en"),
        ("zhx-CN", "en"),
        ("en;q=0.1," * 5000 + "zh", "en"),
    ],
)
def test_the_browser_says_which_language(accepted: str, language: str) -> None:
    assert best_of(accepted) == language


def test_a_sentence_is_said_in_the_language_of_the_block() -> None:
    assert _("Sign out") == "Sign out"
    with speaking("zh-Hans"):
        assert _("Sign out") == "退出"
        assert n_("one fault", "%(faults)s faults", 1, faults=1) == "1 个错误"
        with speaking("xx"):
            assert chosen() == ENGLISH
    assert chosen() == ENGLISH


def test_directions() -> None:
    assert [direction(language) for language in ("en", "zh-Hans", "ar", "he-IL", "fa")] == [
        "ltr", "ltr", "rtl", "rtl", "rtl",
    ]  # fmt: skip


def test_what_was_kept_in_english_is_retold() -> None:
    kept = (
        "SMALL was merged into BIG 50 % after these scores were computed; the probabilities of the two were "
    )
    kept += "added up. Score again to learn the new label set."
    assert retold(kept) == kept
    with speaking("zh-Hans"):
        assert retold(kept).startswith("这些评分算出之后，SMALL 并入了 BIG 50 %；")
        assert retold("There are no label issues.") == "没有标签问题。"
        assert retold("The task of somebody else") == "The task of somebody else"
        assert retold("") == ""


@pytest.mark.parametrize("rows", [10, 400])
def test_advice_is_retold(rows: int) -> None:
    """The sentences that science makes are in the catalogue as it makes them."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, rows)
    sure = np.where(labels == 1, 0.02, 0.98)
    pred_probs = np.column_stack([sure, 1 - sure])
    wrong = rng.random(rows) < 0.2
    given = np.where(wrong, 1 - labels, labels)
    for is_issue in (wrong, np.zeros(rows, dtype=bool)):
        reason = recommend(given, pred_probs, is_issue).reason
        with speaking("zh-Hans"):
            assert not re.search("[a-z]{3}", retold(reason)), reason


def test_catalogues_are_read_once() -> None:
    assert catalogue("zh-Hans") is catalogue("zh-Hans")


def test_percentages_are_written_one_way() -> None:
    """As `31%`: what is kept says so, and stands beside what pages write."""
    apart = re.compile(r"(?:[0-9}]|\)s)(?:\s|&nbsp;)%%?(?![\w({}])")
    folders = [("app", "*.py"), ("app/languages", "*.po"), ("templates", "*.html"), ("docs", "*.md")]
    files = [ROOT / "README.md", *(path for folder, kind in folders for path in (ROOT / folder).rglob(kind))]
    wrong = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if apart.search(line)
    ]
    assert wrong == []
    assert percent(0.314) == "31%"
