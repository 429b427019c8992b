"""Exports: which rows and labels each variant has, and that texts leave as they came."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from app.actor import LOCAL, Actor
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.files.rows import Columns
from app.files.writing import ExportRow, encode_rows
from app.models import Export, Version
from app.models.columns import RunState, Split
from app.models.exports import Variant
from app.models.review import Verdict
from app.services import datasets
from app.services.bounding.autofix import Rule
from app.services.operation import runs
from app.services.tuning import exports
from app.services.tuning.exports import ExportChoices
from tests.factories import Row, make_dataset
from tests.services import importing
from tests.services import test_autofix as fixing
from tests.services.checking import last_event
from tests.services.importing import WITH_ID, import_rows

HOSTILE = [
    'He said "hello", twice', "two\nlines", "two\r\nlines\r", "😀 emoji 👩‍👩‍👧", "   leading and trailing   ",
    "same", "same", "\ttab", "=1+1", "ünïcödé", "é as two", "a,b;c\td", "\\n is not a line break",
    "\x10 escape", "\u2028 line separator", "'", '""',
]  # fmt: skip
IMPOSSIBLE = ["lone \ud83d surrogate", "NUL \x00 inside", "\udc00"]


def request(database: Database, dataset_id: int, *, actor: Actor = LOCAL, **changes: Any) -> Export:
    with database.write() as session:
        return exports.request(session, dataset_id, ExportChoices(**changes), actor=actor)


def rows_of(database: Database, export: Export) -> list[ExportRow]:
    with database.read(snapshot=True) as session:
        version = session.get_one(Version, export.version_id)
        return list(
            exports.read_rows(
                session,
                version,
                variant=export.variant,
                split=export.split,
                labelled_only=export.format in exports.CHAT_FORMATS,
            )
        )


def written(database: Database, export: Export) -> bytes:
    rows = rows_of(database, export)
    with database.read() as session:
        columns = exports.metadata_columns(session, session.get_one(Version, export.version_id))
    options = exports.options_of(export, columns)
    return b"".join(encode_rows(rows, format=export.format, options=options))


@pytest.fixture
def dataset_id(any_database: Database, ann: Actor) -> int:
    """Rows of every kind: kept, accepted, excluded, set aside, auto-fixed, unlabelled, in train and test."""
    rows = [
        Row("kept", "a", "b", 0.1),
        Row("accepted", "a", "b", 0.2),
        Row("excluded", "a"),
        Row("aside", "b", "a", 0.3),
        Row("fixed", "b", "a", 0.01),
        Row("unlabelled", None, "a"),
        Row("plain", "a"),
        Row("flagged", "b", "a", 0.4),
        Row("test flagged", "a", "b", 0.2, split=Split.TEST),
        Row("test accepted", "b", "a", 0.2, split=Split.TEST),
        Row("test plain", "b", split=Split.TEST),
        Row("test excluded", "b", split=Split.TEST),
    ]
    made = make_dataset(any_database, rows=rows)
    for name, verdict in {
        "r1": Verdict.KEEP, "r2": Verdict.ACCEPT, "r3": Verdict.EXCLUDE, "r4": Verdict.NEEDS_REVIEW,
        "r10": Verdict.ACCEPT, "r12": Verdict.EXCLUDE,
    }.items():  # fmt: skip
        fixing.decide(any_database, made, name, verdict, ann)
    fixing.run(any_database, fixing.request(any_database, made, Rule()))
    return made


@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_variants_of_splits(any_database: Database, dataset_id: int, split: str) -> None:
    expected = {
        Variant.ORIGINAL: {
            "train": "kept a|accepted a|excluded a|aside b|fixed b|unlabelled None|plain a|flagged b",
            "test": "test flagged a|test accepted b|test plain b|test excluded b",
        },
        Variant.CORRECTED: {
            "train": "kept a|accepted b|aside b|fixed a|plain a|flagged b",
            "test": "test flagged a|test accepted a|test plain b",
        },
        Variant.DROPPED: {"train": "unlabelled None|plain a", "test": "test plain b"},
    }
    for variant, of_split in expected.items():
        export = request(any_database, dataset_id, format="jsonl", variant=variant, split=split)
        found = "|".join(f"{row.text} {row.label}" for row in rows_of(any_database, export))
        assert found == "|".join(of_split.values()) if split == "all" else found == of_split[split]


def test_chat_formats_hold_labelled_rows_only(any_database: Database, dataset_id: int) -> None:
    export = request(any_database, dataset_id, format="chat-jsonl", variant=Variant.ORIGINAL)
    lines = [json.loads(line) for line in written(any_database, export).splitlines()]
    assert len(lines) == 7
    assert lines[0] == {
        "messages": [{"role": "user", "content": "kept"}, {"role": "assistant", "content": "a"}]
    }


def test_rows_tell_what_was_decided(any_database: Database, dataset_id: int) -> None:
    export = request(any_database, dataset_id, format="jsonl", split="all")
    rows = {row.text: row for row in rows_of(any_database, export)}
    assert (rows["accepted"].state, rows["accepted"].given_label) == ("accepted", "a")
    assert rows["fixed"].state == "auto_fixed"
    assert rows["test plain"].split == "test"


def test_an_export_is_what_was_frozen_when_it_was_asked_for(any_database: Database, dataset_id: int) -> None:
    exported = [
        request(any_database, dataset_id, format="jsonl", split="all", variant=variant) for variant in Variant
    ]
    before = [written(any_database, export) for export in exported]
    fixing.decide(any_database, dataset_id, "r7", Verdict.EXCLUDE)
    fixing.decide(any_database, dataset_id, "r8", Verdict.ACCEPT)
    assert [written(any_database, export) for export in exported] == before
    again = request(any_database, dataset_id, format="jsonl", split="all", version_id=exported[1].version_id)
    assert again.version_id == exported[1].version_id


@pytest.mark.parametrize("format_", ["csv", "jsonl", "chat-jsonl"])
def test_original_gives_every_text_and_label_back(
    any_database: Database, tmp_path: Path, format_: str
) -> None:
    texts = [*HOSTILE, *(IMPOSSIBLE if format_ != "csv" else [])]
    lines = [
        {"id": f"{number}\u00e9", "text": text, "label": f" {texts[-number]} "}
        for number, text in enumerate(texts, 1)
    ]
    dataset_id = import_rows(any_database, tmp_path, lines, columns=WITH_ID).dataset_id or 0
    data = written(any_database, request(any_database, dataset_id, format=format_, variant=Variant.ORIGINAL))
    if format_ == "csv":
        found = [
            (row["text"], row["label"]) for row in csv.DictReader(io.StringIO(data.decode(), newline=""))
        ]
    elif format_ == "jsonl":
        read = [json.loads(line) for line in data.decode().split("\n")[:-1]]
        found = [(row["text"], row["label"]) for row in read]
        assert [row["id"] for row in read] == [line["id"] for line in lines]
    else:
        read = [json.loads(line)["messages"] for line in data.decode().split("\n")[:-1]]
        found = [(user["content"], assistant["content"]) for user, assistant in read]
    assert found == [(line["text"], line["label"]) for line in lines]


@pytest.mark.parametrize(
    ("format_", "text"), [("csv", IMPOSSIBLE[0]), ("csv", IMPOSSIBLE[1]), ("parquet", IMPOSSIBLE[0])]
)
def test_what_a_format_cannot_hold_is_named(
    any_database: Database, tmp_path: Path, format_: str, text: str
) -> None:
    lines = [{"id": "fine", "text": "ok", "label": "a"}, {"id": "odd", "text": text, "label": "a"}]
    dataset_id = import_rows(any_database, tmp_path, lines, columns=WITH_ID).dataset_id or 0
    export = request(any_database, dataset_id, format=format_)
    with pytest.raises(InvalidInput, match="Row 'odd' holds"):
        written(any_database, export)


def test_metadata_columns_come_from_imports_that_made_it(any_database: Database, tmp_path: Path) -> None:
    columns = Columns(text="text", label="label", metadata=("source", "score"))
    lines = [{"text": "x", "label": "a", "source": "web", "score": 1.5}]
    dataset_id = import_rows(any_database, tmp_path, lines, columns=columns).dataset_id or 0
    wrong = Columns(text="text", label="label", metadata=("secret",))
    failed = importing.confirm(
        any_database,
        importing.write_jsonl(tmp_path, [{"text": "y", "label": "a", "secret": 1}]),
        columns=wrong,
    )
    importing.give_up(any_database, failed)
    other = Columns(text="text", label="label", metadata=("source", "page"))
    more = [{"text": "z", "label": "a", "source": "mail", "page": "7"}]
    import_rows(any_database, tmp_path, more, columns=other, split=Split.TEST)
    export = request(any_database, dataset_id, format="csv", split="all", variant=Variant.ORIGINAL)
    assert written(any_database, export).decode().splitlines() == [
        "id,text,label,given_label,split,state,source,score,page",
        "train:1,x,a,a,train,open,web,1.5,",
        "test:1,z,a,a,test,open,mail,,7",
    ]


def test_the_first_lines_are_those_of_the_file(any_database: Database, dataset_id: int) -> None:
    for format_ in ("chat-jsonl", "completion-jsonl", "jsonl", "csv"):
        for variant in Variant:
            choices = ExportChoices(format=format_, variant=variant, split="all", system_prompt="Sort.")
            with any_database.read() as session:
                dataset = datasets.get(session, dataset_id)
                shown = exports.sample_lines(session, dataset, choices, lines=2)
            with any_database.write() as session:
                export = exports.request(session, dataset_id, choices, actor=LOCAL)
            whole = written(any_database, export).decode().splitlines(keepends=True)
            assert shown == "".join(whole[: 3 if format_ == "csv" else 2])
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        table = exports.sample_lines(session, dataset, ExportChoices(format="parquet"), lines=1)
    assert table.startswith("id,text,label,")


def test_the_manifest(any_database: Database, dataset_id: int, ann: Actor) -> None:
    asked = request(any_database, dataset_id, format="jsonl", version_name="for the paper", actor=ann)
    with any_database.write() as session:
        assert last_event(session).new == {
            "format": "jsonl", "variant": "corrected", "split": "train", "version": "for the paper",
        }  # fmt: skip
        run = runs.begin(session, Export, asked.id)
        assert run is not None
        facts = {"rows": 6, "bytes": 600, "sha256": "ab" * 32, "labels": {"a": 3, "b": 3}}
        done = exports.finish(session, run, facts, path="somewhere", actor=ann)
        assert done.manifest.items() >= {
            "dataset": "Requests", "version": "for the paper", "created_by": "Ann", "format": "jsonl",
            "variant": "corrected", "split": "train", "rows": 6, "sha256": "ab" * 32,
        }.items()  # fmt: skip
        assert done.manifest["settings"] == {
            "guard_formulas": False, "system_prompt": None, "separator": "\n\n###\n\n",
                "template": "{text}", "label_codes": {}, "validation_percent": 0, "seed": 0,
        }  # fmt: skip
        json.dumps(done.manifest)
    with any_database.read() as session:
        done = exports.get(session, asked.id)
        assert (done.state, done.rows, done.done, done.total) == (RunState.DONE, 6, 6, 6)
        assert last_event(session).new == {"rows": 6, "sha256": "ab" * 32}
        assert [one.id for one in exports.list_exports(session, dataset_id)] == [asked.id]


def test_requests_that_are_refused(any_database: Database, dataset_id: int, viewer: Actor) -> None:
    other = make_dataset(any_database, name="Fresh", scored=False)
    foreign = request(any_database, other).version_id
    for changes, problem in (
        ({"format": "xml"}, "'xml' is no export format; there are chat-jsonl"),
        ({"split": "dev"}, "'dev' is no split; there are train, test, all"),
        ({"version_id": foreign}, f"Version {foreign} is not one of Requests"),
    ):
        with pytest.raises(InvalidInput, match=problem):
            request(any_database, dataset_id, **changes)
    with pytest.raises(InvalidInput, match="Fresh has no scores yet, so there are no flagged rows"):
        request(any_database, other, variant=Variant.DROPPED)
    with pytest.raises(NotFound, match="There is no version 99"):
        request(any_database, dataset_id, version_id=99)
    request(any_database, dataset_id, version_name="once")
    with pytest.raises(Conflict, match="already has a version called once"):
        request(any_database, dataset_id, version_name="once")
    with pytest.raises(Forbidden):
        request(any_database, dataset_id, actor=viewer)
    with any_database.read() as session, pytest.raises(NotFound, match="There is no export 99"):
        exports.get(session, 99)


def test_nothing_to_drop_at_a_version_before_the_scores(any_database: Database, dataset_id: int) -> None:
    with any_database.write() as session:
        early = Version(
            dataset_id=dataset_id, name="early", import_seq=1, created_by_id=LOCAL.user_id, run_id=None
        )
        session.add(early)
        session.flush()
    with pytest.raises(InvalidInput, match="Nothing was flagged in Requests at early"):
        request(any_database, dataset_id, variant=Variant.DROPPED, version_id=early.id)


@pytest.mark.parametrize("variant", list(Variant))
@pytest.mark.parametrize("format_", ["csv", "chat-jsonl"])
def test_rows_are_counted_before_and_those_left_out_while_writing(
    any_database: Database, dataset_id: int, variant: Variant, format_: str
) -> None:
    for split in exports.SPLITS:
        choices = ExportChoices(format=format_, variant=variant, split=split)
        asked = request(any_database, dataset_id, format=format_, variant=variant, split=split)
        rows = rows_of(any_database, asked)
        left_out: list[str] = []
        with any_database.read(snapshot=True) as session:
            counted = exports.count_rows(session, datasets.get(session, dataset_id), choices)
            version = session.get_one(Version, asked.version_id)
            kept = exports.read_rows(
                session,
                version,
                variant=variant,
                split=split,
                labelled_only=format_ in exports.CHAT_FORMATS,
                on_left_out=left_out.append,
            )
            assert len(list(kept)) == len(rows)
        assert counted == exports.RowCount(len(rows), is_exact=True)
        assert len(rows) + len(left_out) == {"train": 8, "test": 4, "all": 12}[split]
        assert ("excluded" in left_out) is (variant is not Variant.ORIGINAL)
