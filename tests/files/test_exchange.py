"""Files of other tools and for them: what was decided comes in and goes out whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cleanlab.classification import CleanLearning
from sklearn.linear_model import LogisticRegression

from app.errors import AppError
from app.files.decided import DECIDED, state_of
from app.files.exporting import Evidence, ExportRow, WriteOptions
from app.files.hf_members import split_of, zip_folder
from app.files.reading import preview, read_rows
from app.files.rows import Columns, Rejected, Row
from app.files.writing import EXPORT_FORMATS, REVIEWED_FORMATS, encode_rows, extension
from tests.files.given import LIMITS, saved

LABEL_OF = {"kept": "a", "accepted": "b", "overridden": "c", "auto_fixed": "b"}
STATES = ("open", "kept", "accepted", "overridden", "excluded", "needs_review", "auto_fixed")
OPTIONS = WriteOptions(metadata_columns=("channel",), labels=("a", "b", "c"))
ROUND_TRIPS = (*REVIEWED_FORMATS, "csv", "jsonl", "parquet", "hf-datasets")


def decided_rows() -> list[ExportRow]:
    """Rows of every state in both splits, and two that had no label."""
    rows = []
    for number, state in enumerate((*STATES, *STATES, "overridden", "open")):
        given = "a" if number < 2 * len(STATES) else None
        rows.append(
            ExportRow(
                id=f"r{number}",
                text=f'text {number}, "é"\nand more',
                label=LABEL_OF.get(state, given),
                given_label=given,
                split="test" if number % 3 == 0 else "train",
                state=state,
                metadata={"channel": f"x{number}"},
                evidence=Evidence(0.1 if given else None, "b", 0.8, is_issue=given is not None),
            )
        )
    return rows


def written(folder: Path, rows: list[ExportRow], kind: str, options: WriteOptions = OPTIONS) -> Path:
    path = folder / f"out{extension(kind)}"
    path.write_bytes(b"".join(encode_rows(rows, format=kind, options=options)))
    return path


def brought(path: Path, columns: Columns | None = None) -> list[Row | Rejected]:
    seen = preview(path, name=path.name, limits=LIMITS)
    roles = columns or seen.proposed
    return list(read_rows(path, seen.layout, roles, limits=LIMITS, allow_unlabelled=True))


def told(row: Row | Rejected) -> tuple[Any, ...]:
    """Give id, given label, split, state and label of a row that came in."""
    assert isinstance(row, Row), row
    decided = row.metadata.get(DECIDED)
    if not isinstance(decided, dict):
        return row.id, row.label, row.split, "open", row.label
    return row.id, row.label, row.split, decided["state"], decided["label"]


@pytest.mark.parametrize("kind", ROUND_TRIPS)
def test_what_goes_out_comes_in_with_labels_and_states(tmp_path: Path, kind: str) -> None:
    rows = decided_rows()
    path = written(tmp_path, rows, kind)
    found = sorted(brought(path), key=lambda one: int(one.id[1:]) if isinstance(one, Row) and one.id else -1)
    assert [told(one) for one in found] == [
        (row.id, row.given_label, row.split, row.state, row.label) for row in rows
    ]
    for one, row in zip(found, rows, strict=True):
        assert isinstance(one, Row)
        assert (one.text, one.metadata["channel"]) == (row.text, row.metadata["channel"])


@pytest.mark.parametrize("kind", EXPORT_FORMATS)
def test_the_same_rows_give_the_same_bytes(kind: str) -> None:
    rows = [row for row in decided_rows() if row.label is not None]
    first, second = (b"".join(encode_rows(rows, format=kind, options=OPTIONS)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("kind", ["studio-csv", "cleanlab-csv", "label-studio", "argilla", "hf-datasets"])
def test_an_exchange_file_of_nothing_is_whole(kind: str) -> None:
    data = b"".join(encode_rows([], format=kind, options=OPTIONS))
    starts = {"studio-csv": b"id,text", "cleanlab-csv": b"is_label_issue,", "hf-datasets": b"PK"}
    assert data.startswith(starts.get(kind, b"[]\n"))


@pytest.mark.parametrize("kind", ["studio-csv", "cleanlab-csv"])
def test_no_two_columns_have_one_name(kind: str) -> None:
    columns = ("cleanlab_action", "metadata_cleanlab_action", "label_quality", "label", "split")
    options = WriteOptions(metadata_columns=columns, labels=("a", "b", "c"))
    header = b"".join(encode_rows(decided_rows(), format=kind, options=options)).split(b"\n", 1)[0]
    names = header.decode().split(",")
    assert len(names) == len(set(names))


def test_a_file_of_the_given_labels_brings_no_decisions(tmp_path: Path) -> None:
    original = [
        ExportRow(row.id, row.text, row.given_label, row.given_label, row.split, row.state, row.metadata)
        for row in decided_rows()
    ]
    seen = preview(written(tmp_path, original, "csv"), name="out.csv", limits=LIMITS)
    assert (seen.proposed.label, seen.proposed.decision) == ("label", None)
    assert seen.proposed.origin == "Setright"


STUDIO = """id,review,sentiment,cleanlab_action,cleanlab_corrected_label,cleanlab_is_label_issue,\
cleanlab_label_issue_score,cleanlab_suggested_label
1,great film,positive,unresolved,,False,0.1,
2,awful film,positive,auto-fix,negative,True,0.9,negative
3,fine film,positive,keep,positive,True,0.8,negative
4,buy pills,positive,exclude,None,True,0.7,
5,so so,positive,label,neutral,False,0.2,
6,hm,positive,,,False,0.2,
"""


def test_an_export_of_cleanlab_studio(tmp_path: Path) -> None:
    path = saved(tmp_path, STUDIO, "cleanset.csv")
    seen = preview(path, name=path.name, limits=LIMITS)
    assert seen.guess.origin is None
    roles = seen.proposed
    assert (roles.origin, roles.text, roles.label) == ("Cleanlab Studio", "review", "sentiment")
    assert (roles.corrected_label, roles.decision) == ("cleanlab_corrected_label", "cleanlab_action")
    assert "cleanlab_label_issue_score" in roles.metadata
    assert [told(one)[3:] for one in brought(path)] == [
        ("open", "positive"), ("auto_fixed", "negative"), ("kept", "positive"), ("excluded", "positive"),
        ("overridden", "neutral"), ("open", "positive"),
    ]  # fmt: skip


def test_older_columns_of_cleanlab_studio_without_actions(tmp_path: Path) -> None:
    header = "text,label,cleanlab_issue,cleanlab_label_quality,cleanlab_clean_label\n"
    lines = header + "a b,x,True,0.1,y\nc d,x,False,0.9,None\n"
    path = saved(tmp_path, lines, "old.csv")
    assert [told(one)[3:] for one in brought(path)] == [("overridden", "y"), ("open", "x")]


def test_an_unknown_word_is_refused_only_where_no_label_explains_it(tmp_path: Path) -> None:
    lines = "text,label,cleanlab_action,cleanlab_corrected_label\na b,x,zap,y\nc d,x,zap,\n"
    found = brought(saved(tmp_path, lines, "odd.csv"))
    assert told(found[0])[3:] == ("overridden", "y")
    assert isinstance(found[1], Rejected)
    assert found[1].line == 3
    assert found[1].reason.startswith("the decision 'zap' is none of open, kept,")


def test_words_of_decisions() -> None:
    assert [state_of(word) for word in (None, "", "Auto-Fix", "needs_review", "KEEP", "zap")] == [
        "open", "open", "auto_fixed", "needs_review", "kept", None,
    ]  # fmt: skip


def task(text: str, **changes: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"text": text}, "annotations": [], "predictions": [], **changes}


def choice(label: str | list[str], **changes: Any) -> dict[str, Any]:
    labels = [label] if isinstance(label, str) else label
    region = {"from_name": "s", "to_name": "t", "type": "choices", "value": {"choices": labels}}
    return {"result": [region], **changes}


def test_tasks_of_label_studio(tmp_path: Path) -> None:
    tasks = [
        task("only annotated", annotations=[choice("x", completed_by=7)]),
        task(
            "predicted and annotated",
            predictions=[choice("x", score=0.4), choice("y", score=0.9)],
            annotations=[choice("x", completed_by={"email": "ann@example.org"}, updated_at="2024-05-01")],
        ),
        task("agreed", predictions=[choice("x")], annotations=[choice("x")]),
        task("majority", predictions=[choice("x")], annotations=[choice("x"), choice("z"), choice("z")]),
        task("truth", predictions=[choice("x")], annotations=[choice("z"), choice("y", ground_truth=True)]),
        task("skipped", predictions=[choice("x")], annotations=[{"result": [], "was_cancelled": True}]),
        task("predicted", predictions=[choice("x"), 17]),
        task("two", annotations=[choice(["x", "y"])]),
        {"id": 9, "data": "text", "annotations": []},
    ]
    path = saved(tmp_path, json.dumps(tasks), "export.json")
    seen = preview(path, name=path.name, limits=LIMITS)
    assert (seen.layout.format, seen.proposed.origin) == ("label-studio", "Label Studio")
    found = brought(path)
    assert [told(one)[1:] for one in found[:7]] == [
        ("x", None, "open", "x"), ("y", None, "overridden", "x"), ("x", None, "kept", "x"),
        ("x", None, "overridden", "z"), ("x", None, "overridden", "y"), ("x", None, "needs_review", "x"),
        ("x", None, "open", "x"),
    ]  # fmt: skip
    assert isinstance(found[1], Row)
    assert found[1].metadata[DECIDED] == {
        "state": "overridden", "label": "x", "by": "ann@example.org", "at": "2024-05-01",
    }  # fmt: skip
    assert [one.reason for one in found[7:] if isinstance(one, Rejected)] == [
        "2 labels were chosen for one text; a row has one",
        "the task has no data",
    ]
    lines = "".join(json.dumps(one) + "\n" for one in tasks[:7])
    assert [told(one) for one in brought(saved(tmp_path, lines, "export.jsonl"))] == [
        told(one) for one in found[:7]
    ]


NESTED = [
    {
        "id": "1", "fields": {"text": "one"}, "metadata": {"lang": "en"}, "vectors": {},
        "suggestions": {"topic": {"value": "x", "score": 0.5, "agent": "m"}},
        "responses": {"topic": [{"value": "y", "user_id": "u1", "status": "submitted"}]},
    },
    {"id": "2", "fields": {"text": "two"}, "suggestions": {"topic": {"value": "x"}}, "responses": {}},
    {
        "id": "3", "fields": {"text": "three"}, "suggestions": {"topic": {"value": "x"}},
        "responses": {"topic": [{"value": "y", "user_id": "u1", "status": "discarded"}]},
    },
]  # fmt: skip
OLDER = [
    {
        "external_id": "1", "fields": {"text": "one"}, "metadata": {"lang": "en"},
        "suggestions": [{"question_name": "topic", "value": "x"}],
        "responses": [{"user_id": "u1", "status": "submitted", "values": {"topic": {"value": "y"}}}],
    },
    {"external_id": "2", "fields": {"text": "two"}, "suggestions": [{"value": "x"}], "responses": []},
    {
        "external_id": "3", "fields": {"text": "three"}, "suggestions": [{"value": "x"}],
        "responses": [{"user_id": "u1", "status": "discarded"}],
    },
]  # fmt: skip
FLAT = [
    {
        "id": "1", "text": "one", "lang": "en", "status": "completed", "topic.suggestion": "x",
        "topic.suggestion.score": 0.5, "topic.responses": ["y"], "topic.responses.users": ["u1"],
        "topic.responses.status": ["submitted"],
    },
    {"id": "2", "text": "two", "topic.suggestion": "x", "topic.responses": None},
    {
        "id": "3", "text": "three", "topic.suggestion": "x", "topic.responses": ["y"],
        "topic.responses.status": ["discarded"],
    },
]  # fmt: skip


@pytest.mark.parametrize("records", [NESTED, OLDER, FLAT], ids=["nested", "older", "flat"])
def test_records_of_argilla(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    path = saved(tmp_path, json.dumps(records), "records.json")
    seen = preview(path, name=path.name, limits=LIMITS)
    assert (seen.layout.format, seen.proposed.origin) == ("argilla", "Argilla")
    found = brought(path)
    assert [told(one) for one in found] == [
        ("1", "x", None, "overridden", "y"), ("2", "x", None, "open", "x"),
        ("3", "x", None, "needs_review", "x"),
    ]  # fmt: skip
    assert isinstance(found[0], Row)
    assert found[0].metadata["lang"] == "en"
    assert found[0].metadata[DECIDED]["by"] == "u1"  # type: ignore[index,call-overload]


def test_argillas_first_records(tmp_path: Path) -> None:
    records = [
        {"id": 1, "inputs": {"text": "one"}, "prediction": [{"label": "x", "score": 0.9}], "annotation": "y"},
        {"id": 2, "inputs": {"text": "two"}, "prediction": [["x", 0.9]], "annotation": None},
        {"id": 3, "inputs": {"text": "three"}, "prediction": None, "annotation": ["y", "z"]},
    ]
    found = brought(saved(tmp_path, json.dumps(records), "old.json"))
    assert [told(one)[1:] for one in found[:2]] == [("x", None, "overridden", "y"), ("x", None, "open", "x")]
    assert isinstance(found[2], Rejected)
    assert found[2].reason == "more than one label was chosen for one text; a row has one"


def test_plain_objects_stay_plain(tmp_path: Path) -> None:
    rows = [{"text": "a b", "label": "x", "data": "d", "annotations": 3}, {"text": "c d", "label": "y"}]
    seen = preview(saved(tmp_path, json.dumps(rows), "rows.json"), name="rows.json", limits=LIMITS)
    assert (seen.layout.format, seen.recognised) == ("json", None)


def features(names: list[str]) -> dict[bytes, bytes]:
    info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    return {b"huggingface": json.dumps(info).encode()}


def test_a_hugging_face_folder_in_parquet_and_arrow(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "data").mkdir(parents=True)
    (folder / "validation").mkdir()
    (folder / "dataset_info.json").write_text("{}")
    table = pa.table({"text": ["one", "two", "three"], "label": [0, 1, -1]})
    named = table.replace_schema_metadata(features(["neg", "pos"]))
    pq.write_table(named, folder / "data" / "train-00000-of-00001.parquet")
    held = str(folder / "validation" / "data-00000.arrow")
    with pa.OSFile(held, "wb") as out, pa.ipc.new_stream(out, named.schema) as stream:
        stream.write_table(named)
    with pa.OSFile(str(folder / "test.arrow"), "wb") as out, pa.ipc.new_file(out, named.schema) as file:
        file.write_table(named.slice(0, 1))
    path = tmp_path / "set.zip"
    zip_folder(folder, path, max_bytes=10**6)
    seen = preview(path, name=path.name, limits=LIMITS)
    assert (seen.layout.format, seen.proposed.origin) == ("hf-datasets", "Hugging Face datasets")
    assert seen.proposed.label == "label"
    rows = [one for one in brought(path) if isinstance(one, Row)]
    assert [(row.text, row.label, row.split, row.line) for row in rows] == [
        ("one", "neg", "test", 1), ("one", "neg", "test", 2), ("two", "pos", "test", 3),
        ("three", None, "test", 4), ("one", "neg", "train", 5), ("two", "pos", "train", 6),
        ("three", None, "train", 7),
    ]  # fmt: skip
    assert not list(tmp_path.glob("setright-*"))
    with pytest.raises(AppError, match="holds no data files"):
        zip_folder(tmp_path / "set" / "data" / "none", path, max_bytes=10**6)


def test_splits_by_the_names_of_files() -> None:
    names = ["data/train-0.parquet", "validation.csv", "test/data-0.arrow", "contest.csv", "train_test.csv"]
    assert [split_of(name) for name in names] == ["train", "test", "test", "train", "train"]


def evidence(label: str, *, is_issue: bool) -> Evidence:
    return Evidence(0.9, label, 0.9, is_issue)


def test_clean_learning_takes_the_table(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0)
    labels = ["a", "b"] * 40
    rows = [
        ExportRow(
            f"r{n}",
            f"t{n}",
            label,
            label,
            "train",
            "open",
            evidence=Evidence(0.9, label, 0.9, is_issue=n < 3),
        )
        for n, label in enumerate(labels)
    ]
    path = written(tmp_path, rows, "cleanlab-csv", WriteOptions(labels=("a", "b")))
    table = pd.read_csv(path)
    issues = table[["is_label_issue", "label_quality", "given_label", "predicted_label"]]
    points = numbers.normal(size=(80, 2)) + table["given_label"].to_numpy()[:, None] * 3
    learner = CleanLearning(LogisticRegression())
    learner.fit(points, table["given_label"].to_numpy(), label_issues=issues)
    assert learner.get_label_issues()["is_label_issue"].sum() == 3
    assert path.read_text().startswith("is_label_issue,label_quality,given_label,predicted_label,")
