import csv
import json
from pathlib import Path

import numpy as np
import pytest

from app.errors import InvalidInput, NotFound, TooLarge
from app.files.rows import Limits
from app.pipeline.audit import AuditOptions, audit
from app.pipeline.audit_writing import OUTPUT_COLUMNS

TOPICS = {"bank": ["card", "bank", "money", "account"], "weather": ["rain", "sun", "wind", "cloud"]}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, n: int = 60, *, extra: list[list[str]] | None = None) -> Path:
    rng = np.random.default_rng(0)
    lines = []
    for row in range(n):
        topic = ("bank", "weather")[row % 2]
        label = topic if row > 1 else ("weather", "bank")[row % 2]
        lines.append([str(row), f"{' '.join(rng.choice(TOPICS[topic], 3))} {row}", label])
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "text", "label"], *lines[:5], *(extra or []), *lines[5:]])
    return path


def options(tmp_path: Path, **more: object) -> AuditOptions:
    return AuditOptions(embedder="tfidf", out=tmp_path / "out.csv", **more)  # type: ignore[arg-type] # any option


def test_as_many_labels_as_an_import_takes(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", extra=[["x", "one more text", "third"]])
    found = audit(source, options=options(tmp_path, limits=Limits(max_classes=3)))
    assert len(found.values["labels"]) == 3
    with pytest.raises(TooLarge, match="more than 2 different labels; is 'label' the label column"):
        audit(source, options=options(tmp_path, limits=Limits(max_classes=2)))


def test_the_file_comes_back_with_its_judgement(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv")
    found = audit(source, options=options(tmp_path, summary=tmp_path / "s.json"))
    before, after = rows_of(source), rows_of(tmp_path / "out.csv")
    assert list(after[0]) == ["id", "text", "label", *OUTPUT_COLUMNS]
    assert [{key: row[key] for key in before[0]} for row in after] == before
    assert {row["id"] for row in after if row["is_label_issue"] == "true"} >= {"0", "1"}
    assert after[0]["suggested_label"] == "bank"
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary == found.values
    assert list(summary) == [
        "rows", "rows_used", "issues", "autofix", "estimated_noise", "labels", "embedder", "classifier",
        "seconds", "seed", "versions",
    ]  # fmt: skip
    assert set(summary["seconds"]) == {"read", "embed", "predict", "issues", "write", "total"}
    assert (summary["rows"], summary["labels"], summary["embedder"]) == (60, ["bank", "weather"], "tfidf")


def test_every_column_keeps_its_promise(tmp_path: Path) -> None:
    audit(write(tmp_path / "in.csv"), options=options(tmp_path))
    after = rows_of(tmp_path / "out.csv")
    issues = sorted((row for row in after if row["issue_rank"]), key=lambda row: int(row["issue_rank"]))
    assert [int(row["issue_rank"]) for row in issues] == list(range(1, len(issues) + 1))
    confidences = [float(row["self_confidence"]) for row in issues]
    assert confidences == sorted(confidences)
    for row in after:
        assert (row["is_label_issue"] == "true") == bool(row["issue_rank"])
        assert 0 <= float(row["self_confidence"]) <= float(row["suggested_confidence"]) <= 1
        assert row["corrected_label"] == row["suggested_label" if row["autofix"] == "true" else "label"]


def test_unusable_rows_stay_in_their_place(tmp_path: Path) -> None:
    bad = [["x1", "  ", "bank"], ["x2", "money", ""], ["x3"], ["x4", "", ""]]
    found = audit(write(tmp_path / "in.csv", extra=bad), options=options(tmp_path))
    after = rows_of(tmp_path / "out.csv")
    assert (found.values["rows"], found.values["rows_used"]) == (64, 60)
    assert [row["id"] for row in after[3:10]] == ["3", "4", "x1", "x2", "", "x4", "5"]
    for row, given in zip(after[5:9], ["bank", "", "", ""], strict=True):
        assert [row[column] for column in OUTPUT_COLUMNS] == ["", "", "", "false", "", "false", given]


def test_jsonl_with_late_keys_and_odd_labels(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    records = [
        {"text": f"card {n}" if n % 2 else f"rain {n}", "label": 10 if n % 2 else "NA"} for n in range(300)
    ]
    records[290]["note"] = "late"
    source.write_text("\n".join(json.dumps(record) for record in records))
    found = audit(source, options=options(tmp_path))
    after = rows_of(tmp_path / "out.csv")
    assert list(after[0])[:3] == ["text", "label", "note"]
    assert [after[290]["note"], after[0]["note"]] == ["late", ""]
    assert found.values["labels"] == ["10", "NA"]


def test_own_probabilities_fit_the_file_or_the_used_rows(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", extra=[["x1", "", "bank"]])
    topic = np.array([0 if row % 2 == 0 else 1 for row in range(60)])
    used = np.eye(2)[topic] * 0.9 + 0.05
    whole = np.insert(used, 5, np.nan, axis=0)
    results = []
    for name, array in (("used", used), ("whole", whole)):
        np.save(tmp_path / f"{name}.npy", array)
        audit(source, options=options(tmp_path, pred_probs=tmp_path / f"{name}.npy"))
        results.append((tmp_path / "out.csv").read_bytes())
    assert results[0] == results[1]
    after = rows_of(tmp_path / "out.csv")
    assert [row["id"] for row in after if row["is_label_issue"] == "true"] == ["0", "1"]
    assert after[0]["self_confidence"] == "0.050000"


def test_the_order_of_labels_can_be_given(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv")
    labels = tmp_path / "labels.txt"
    labels.write_text("weather\nother\nbank\n")
    found = audit(source, options=options(tmp_path, labels=labels))
    assert found.values["labels"] == ["weather", "other", "bank"]
    labels.write_text("weather\n")
    with pytest.raises(InvalidInput, match='lacks the label "bank"'):
        audit(source, options=options(tmp_path, labels=labels))
    labels.write_text("bank\nweather\nbank\n")
    with pytest.raises(InvalidInput, match='"bank" twice'):
        audit(source, options=options(tmp_path, labels=labels))


def test_same_input_same_bytes(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv")
    outputs = set()
    for _ in range(2):
        audit(source, options=options(tmp_path, seed=3))
        outputs.add((tmp_path / "out.csv").read_bytes())
    assert len(outputs) == 1


def test_the_output_stands_beside_the_input_by_default(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv")
    found = audit(source, options=AuditOptions(embedder="tfidf"))
    assert found.out == tmp_path / "in.csv.audit.csv"
    assert len(rows_of(found.out)) == 60


def test_arguments_that_cannot_work_are_refused_in_a_sentence(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv")
    with pytest.raises(NotFound, match=r"no file .*none\.csv"):
        audit(tmp_path / "none.csv", options=options(tmp_path))
    with pytest.raises(InvalidInput, match='no column "body"; the columns are id, text, label'):
        audit(source, options=options(tmp_path, text="body"))
    with pytest.raises(InvalidInput, match="both text and label"):
        audit(source, options=options(tmp_path, text="text", label="text"))
    with pytest.raises(InvalidInput, match="no embedder called glove"):
        audit(source, options=AuditOptions(embedder="glove"))
    with pytest.raises(InvalidInput, match="is the input itself"):
        audit(source, options=AuditOptions(embedder="tfidf", out=source))
    with pytest.raises(NotFound, match="no folder"):
        audit(source, options=AuditOptions(embedder="tfidf", out=tmp_path / "no" / "out.csv"))
    np.save(tmp_path / "p.npy", np.ones((3, 2)))
    with pytest.raises(InvalidInput, match=r"p\.npy has 3 rows; the data has 60"):
        audit(source, options=options(tmp_path, pred_probs=tmp_path / "p.npy"))


def test_a_column_of_the_output_in_the_input_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text,label,autofix\ncard,bank,1\nrain,weather,2\n")
    with pytest.raises(InvalidInput, match='a column "autofix"'):
        audit(source, options=options(tmp_path))


def test_a_failed_run_leaves_nothing_behind(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(
        '{"text": "card", "label": "a"}\n'
        '{"text": "rain \\ud800", "label": "b"}\n'
        '{"text": "sun", "label": "b"}\n'
    )
    with pytest.raises(InvalidInput, match="Line 2 holds half of a surrogate pair"):
        audit(source, options=options(tmp_path))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["in.jsonl"]
