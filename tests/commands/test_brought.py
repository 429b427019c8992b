"""Own probabilities and embeddings by command, with and without a database; embedders by name."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.commands.scoring import in_a_sentence
from app.services.finding.estimating import Estimate
from tests.commands.terminal import Terminal

COUNT = 60
LABELS = ("bank", "weather")
WRONG = {0, 7}


def given(row: int) -> str:
    return LABELS[(row + (row in WRONG)) % 2]


def write_rows(folder: Path) -> Path:
    path = folder / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "label"])
        for row in range(COUNT):
            text = ("my card was declined", "rain and wind today")[row % 2]
            writer.writerow([f"r{row}", f"{text} {row}", given(row)])
    return path


def probabilities() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([[0.9, 0.1] if row % 2 == 0 else [0.1, 0.9] for row in range(COUNT)])


def write_probabilities(folder: Path) -> list[Path]:
    """Write the same in each format; rows and columns of the tables in another order."""
    probs = probabilities()
    np.save(folder / "probs.npy", probs)
    ids = [f"r{row}" for row in range(COUNT)]
    table = pa.table({"weather": probs[::-1, 1], "id": ids[::-1], "bank": probs[::-1, 0]})
    pq.write_table(table, folder / "probs.parquet")
    lines = [f"{probs[row, 1]},{ids[row]},{probs[row, 0]}" for row in reversed(range(COUNT))]
    (folder / "probs.csv").write_text("\n".join(["weather,id,bank", *lines]), encoding="utf-8")
    return [folder / f"probs.{suffix}" for suffix in ("npy", "csv", "parquet")]


@pytest.mark.slow
def test_score_takes_each_format(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run("import", write_rows(tmp_path), "--dataset", "d", "--id", "id")
    for path in write_probabilities(tmp_path):
        scored = json.loads(terminal.run("score", "d", "--pred-probs", path, "--json"))
        assert (scored["issues"], scored["embedder"], scored["classifier"]) == (len(WRONG), "file", "file")
        found = json.loads(terminal.run("issues", "d", "--json"))
        assert {issue["id"] for issue in found} == {f"r{row}" for row in WRONG}
    vectors = probabilities() + np.random.default_rng(0).normal(0, 0.05, (COUNT, 2))
    np.save(tmp_path / "vectors.npy", vectors)
    scored = json.loads(terminal.run("score", "d", "--embeddings", tmp_path / "vectors.npy", "--json"))
    assert (scored["issues"], scored["embedder"]) == (len(WRONG), "file")


def test_audit_takes_each_format(terminal: Terminal, tmp_path: Path) -> None:
    rows, out = write_rows(tmp_path), tmp_path / "out.csv"
    for path in write_probabilities(tmp_path):
        terminal.run("audit", rows, "--pred-probs", path, "--out", out)
        with out.open(encoding="utf-8", newline="") as file:
            flagged = [row["id"] for row in csv.DictReader(file) if row["is_label_issue"] == "true"]
        assert flagged == ["r0", "r7"]


def test_what_is_wrong_is_said_in_a_sentence(terminal: Terminal, tmp_path: Path) -> None:
    rows = write_rows(tmp_path)
    terminal.run("import", rows, "--dataset", "d", "--id", "id")
    probs = probabilities()
    probs[4, 0] = 0.5
    np.save(tmp_path / "probs.npy", probs)
    for words in (("audit", rows), ("score", "d")):
        said = terminal.fails(*words, "--pred-probs", tmp_path / "probs.npy")
        assert "row 5 (id r4) sum to 0.6 and not to 1" in said
        assert "There is no file" in terminal.fails(*words, "--pred-probs", tmp_path / "none.npy")
    assert "must be a .npy, .csv or .parquet file" in terminal.fails(
        "score", "d", "--embeddings", rows.parent
    )
    assert "needs a file of embeddings" in terminal.fails("score", "d", "--embedder", "file")
    assert "choose one of: use, use+minilm, static, tfidf" in terminal.fails("score", "d", "--embedder", "x")


def test_an_embedder_by_its_name(terminal: Terminal, tmp_path: Path) -> None:
    name = "static"
    rows, summary = write_rows(tmp_path), tmp_path / "summary.json"
    terminal.run("audit", rows, "--embedder", name, "--summary", summary)
    found = json.loads(summary.read_text(encoding="utf-8"))
    assert (found["embedder"], found["issues"]) == (name, len(WRONG))
    assert f"embedder {name}" in found["versions"]


def test_a_service_without_a_key(terminal: Terminal, tmp_path: Path) -> None:
    said = terminal.fails("audit", write_rows(tmp_path), "--embedder", "openai:small")
    assert "SETRIGHT_OPENAI_API_KEY" in said


def test_an_estimate_in_a_sentence() -> None:
    local = Estimate("use", "", rows=2_000, texts=1_916, characters=9, seconds=31.4, is_measured=False)
    assert in_a_sentence(local) == (
        "1,916 texts to embed with use, about 31 s by the speed of a common machine."
    )
    paid = Estimate(
        "openai:m", "", rows=9, texts=9, characters=8, seconds=None, is_measured=False,
        tokens=1_200, price=0.5, sent_to="api.example.com",
    )  # fmt: skip
    assert in_a_sentence(paid) == (
        "9 texts to embed with openai:m, sent to api.example.com, some 1,200 tokens for 0.5000."
    )
