"""Drawing a test split and comparing on it, by commands."""

import json
from pathlib import Path

import pytest

from tests.commands.terminal import Terminal

WORDS = {"order": "parcel late where", "refund": "money back please", "fault": "broken dead flickers"}


@pytest.mark.slow
def test_from_one_file_to_a_proof(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    rows = [f"{WORDS[label]} {at},{label}" for at in range(40) for label in WORDS]
    file.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    terminal.run("import", file, "--dataset", "d", "--text", "text", "--label", "label")
    terminal.run("score", "d", "--embedder", "tfidf")
    assert "has no test rows" in terminal.fails("experiment", "d")
    drawn = json.loads(terminal.run("test-split", "d", "--share", "0.25", "--seed", "3", "--json"))
    assert drawn == {"dataset": "d", "test_rows": 30, "share": 0.25, "seed": 3}
    assert "it stays as it is" in terminal.fails("test-split", "d")
    assert "drawn after it was scored" in terminal.fails("experiment", "d")
    report = tmp_path / "report.json"
    said = terminal.run(
        "experiment", "d", "--seeds", "0", "--variants", "original,human", "--setting", "held_out=0.2",
        "--leave-out-leaks", "--curve", "--report", report,
    )  # fmt: skip
    assert "Test accuracy on 30 rows, mean of 1 seeds" in said
    assert "the model does as well as with the original labels" in said
    shared = json.loads(report.read_text(encoding="utf-8"))
    assert shared["results"]["settings"] == {"held_out": 0.2}
    assert shared["results"]["curve"] == []
    again = json.loads(terminal.run("experiment", "d", "--again", str(shared["number"]), "--json"))
    assert again["fingerprint"] == shared["results"]["fingerprint"]
    assert "There is no experiment 99" in terminal.fails("experiment", "d", "--again", "99")
    nowhere = tmp_path / "no" / "report.md"
    assert "cannot be written" in terminal.fails("experiment", "d", "--again", "1", "--report", nowhere)
    assert "finetune" in terminal.fails("experiment", "d", "--trainer", "openai")
