"""What a fine-tuning service would say of a file, row by row."""

from array import array
from collections.abc import Sequence
from typing import Any

import pytest

from app.files.checking import Checker
from app.files.drawing import Draw
from app.files.exporting import ExportRow, WriteOptions
from app.files.faults import Checked, FaultKind, fault_lines
from app.files.tally import Sized, TokenTally
from app.files.tokens import TokenCounter, size_of, token_counter

BYTES = TokenCounter("UTF-8 bytes", is_bound=True, count=lambda texts: [size_of(text) for text in texts])
PLAIN = WriteOptions(labels=("good", "bad"))


def row(text: str, label: str = "good", **changes: Any) -> ExportRow:
    values: dict[str, Any] = {"id": text[:20], "given_label": label, "split": "train", "state": "open"}
    return ExportRow(text=text, label=label, **{**values, **changes})


def fine_rows(count: int = 20) -> list[ExportRow]:
    return [row(f"text number {n}", "good" if n % 2 else "bad") for n in range(count)]


def checked(
    rows: Sequence[ExportRow],
    options: WriteOptions = PLAIN,
    *,
    kind: str = "chat-jsonl",
    tests: Sequence[ExportRow] = (),
    size: int = 0,
    **changes: Any,
) -> Checked:
    checker = Checker(options, format=kind, counter=BYTES, **changes)
    for one in rows:
        checker.add(one)
    for one in tests:
        checker.add_test_row(one)
    return checker.finish(bytes_=size)


def found(*rows: ExportRow, **changes: Any) -> list[tuple[FaultKind, int, str]]:
    """Check rows among enough good ones; give kind, line and row of each fault."""
    result = checked([*fine_rows(), *rows], **changes)
    return [(one.kind, one.line, one.row) for one in result.faults]


@pytest.mark.parametrize("kind", ["chat-jsonl", "completion-jsonl"])
def test_good_rows_have_no_fault(kind: str) -> None:
    result = checked(fine_rows(), kind=kind)
    assert (result.faults, result.blocking, result.warnings) == ((), 0, 0)
    assert (result.rows, result.classes) == (20, {"bad": 10, "good": 10})


def turns(*roles: str) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": "said"} for role in roles]}


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (row("   "), FaultKind.EMPTY_TEXT),
        (row("half \ud83d"), FaultKind.NOT_UNICODE),
        (row("spoken", context=turns("user", "tool", "user")), FaultKind.BROKEN_TURNS),
        (row("said", context=turns("assistant")), FaultKind.EMPTY_TEXT),
        (
            row("said", context={"messages": [{"role": "user", "content": "x", "weight": 2}]}),
            FaultKind.BROKEN_TURNS,
        ),
        (row("said", context={"messages": [{"role": "user", "content": ["x"]}]}), FaultKind.BROKEN_TURNS),
    ],
)
def test_a_row_that_would_be_refused_is_named(bad: ExportRow, kind: FaultKind) -> None:
    faults = found(bad)
    assert (kind, 21, bad.id) in faults
    assert checked([*fine_rows(), bad]).blocking == len(faults)


def test_a_template_around_nothing_asks_nothing() -> None:
    faults = found(row(" "), options=WriteOptions(template="Which one? {text}"))
    assert faults == [(FaultKind.EMPTY_TEXT, 21, " ")]


def test_an_empty_answer_is_refused() -> None:
    options = WriteOptions(label_codes={"good": " "})
    assert {one.kind for one in checked(fine_rows(), options).faults} == {FaultKind.EMPTY_LABEL}


def test_a_row_is_too_long_by_its_tokens_and_not_only_among_the_first() -> None:
    long_row = row("x" * 200)
    exact = {"most_tokens": 200 + 4 + 9}  # the text, its label, three tokens for two messages and the row
    assert found(long_row, **exact) == []
    assert found(long_row, most_tokens=212) == [(FaultKind.TOO_LONG, 21, "x" * 20)]
    tally = TokenTally(BYTES, most=100, counted_rows=1)
    for line, text in enumerate(["a" * 10, "b" * 30, "c" * 101], start=1):
        tally.add(Sized("training", line, f"r{line}", (text,), 0, is_training=True))
    assert tally.total() == (141, True)
    assert [(one.row, tokens) for one, tokens in tally.too_long] == [("r3", 101)]


def test_too_few_rows_and_classes_and_too_many_bytes() -> None:
    few = checked([row(f"t{n}") for n in range(9)], size=600 * 1024**2)
    assert few.counts == {
        FaultKind.TOO_FEW_ROWS: 1, FaultKind.TOO_FEW_CLASSES: 1, FaultKind.FILE_TOO_LARGE: 1,
        FaultKind.FEW_OF_CLASS: 1,
    }  # fmt: skip
    assert few.blocking == 3
    assert "9 rows; services ask for at least 10" in next(
        one.what for one in few.faults if one.kind is FaultKind.TOO_FEW_ROWS
    )


def test_repeats_are_told_from_conflicts_and_from_leaks() -> None:
    rows = [*fine_rows(), row("text number 1", id="again"), row(" TEXT number 3", "bad", id="other")]
    result = checked(rows, tests=[row("text number 5"), row("nowhere")])
    assert {(one.kind, one.line, one.row) for one in result.faults} == {
        (FaultKind.DUPLICATE_PROMPT, 21, "again"),
        (FaultKind.CONFLICTING_PROMPT, 22, "other"),
        (FaultKind.ALSO_IN_TEST, 6, "text number 5"),
    }
    assert 'that of line 4, labelled "good" there and "bad" here' in next(
        one.what for one in result.faults if one.kind is FaultKind.CONFLICTING_PROMPT
    )
    assert result.blocking == 0


def test_labels_that_clash() -> None:
    labels = ["Good", "good ", "good boy", "bad"]
    rows = [row(f"{label} {n}", label) for label in labels for n in range(10)]
    faults = checked(rows).faults
    assert [one.kind for one in faults] == [FaultKind.LABEL_STARTS_ANOTHER, FaultKind.LABELS_ALIKE]
    assert '"Good" and "good "' in faults[1].what
    codes = {"Good": "1", "good ": "2", "good boy": "2", "bad": "4"}
    coded = checked(rows, WriteOptions(label_codes=codes)).faults
    assert [(one.kind, one.is_blocking) for one in coded] == [(FaultKind.SAME_CODE, True)]


def test_the_prompt_itself_is_looked_at() -> None:
    options = WriteOptions(separator=" ->", template="{where}: {text}")
    faults = found(row("a -> b"), options=options, kind="completion-jsonl")
    assert faults == [(FaultKind.SEPARATOR_IN_TEXT, 21, "a -> b"), (FaultKind.UNKNOWN_PLACEHOLDER, 0, "")]


def test_of_many_faults_the_first_are_listed_and_all_are_counted() -> None:
    result = checked([row("the same", id=f"=r{n}") for n in range(1500)])
    assert result.counts[FaultKind.DUPLICATE_PROMPT] == 1499
    listed = [one for one in result.faults if one.kind is FaultKind.DUPLICATE_PROMPT]
    assert [one.line for one in listed] == list(range(2, 1002))
    lines = list(fault_lines(result.faults))
    assert lines[0] == "weight,fault,file,line,row,what,what_to_do\n"
    assert lines[1].startswith("blocks,too_few_classes,training,,,")
    assert lines[2].startswith("warning,duplicate_prompt,training,2,'=r1,")


def test_the_offline_tokenizer_counts_less_than_bytes() -> None:
    counter = token_counter()
    texts = ["", "hello world", "déjà vu 文", "half \ud83d"]
    tokens = counter.count(texts)
    assert tokens[0] == 0
    assert all(
        count <= len(text.encode("utf-8", "surrogatepass"))
        for text, count in zip(texts[:3], tokens, strict=False)
    )
    if not counter.is_bound:
        assert tokens[1] == 2


def drawn_from(rows: Sequence[ExportRow], *, percent: int, seed: int) -> list[str]:
    draw = Draw()
    for one in rows:
        draw.add(one.text, one.label or "")
    chosen = draw.drawn(percent=percent, seed=seed)
    return [one.id for one in rows if chosen.has(one.text)]


def test_validation_rows_are_drawn_alike_from_every_class_by_seed() -> None:
    rows = [row(f"text {n}", "rare" if n % 10 == 0 else "usual", id=str(n)) for n in range(400)]
    rows += [row("text 7 ", "usual", id="twin")]
    first = drawn_from(rows, percent=20, seed=1)
    assert first == drawn_from(rows, percent=20, seed=1)
    assert first != drawn_from(rows, percent=20, seed=2)
    assert sum(one != "twin" and int(one) % 10 == 0 for one in first) == 8
    assert len(first) - ("twin" in first) == 80
    for seed in range(12):
        ids = drawn_from(rows, percent=20, seed=seed)
        assert ("7" in ids) == ("twin" in ids)
    assert drawn_from([row("one", "lonely")], percent=50, seed=0) == []
    assert array("Q").itemsize == 8
