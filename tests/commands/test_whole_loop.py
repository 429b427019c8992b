"""The main job by commands: import, score, issues, auto-fix, undo, export, fine-tune (dry), experiment."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from app.samples import sample_path
from tests.commands.terminal import ROOT, Terminal

DATA = Path(os.environ.get("SETRIGHT_DATA", ROOT / "../shared/data"))


@pytest.fixture
def sample(any_terminal: Terminal) -> Terminal:
    any_terminal.run(
        "import", sample_path(), "--dataset", "requests", "--id", "id", "--split-column", "split"
    )
    return any_terminal


def test_sample_goes_all_the_way(sample: Terminal) -> None:
    scored = json.loads(sample.run("score", "requests", "--json"))
    assert scored["rows"] == 600
    assert 20 <= scored["issues"] <= 90

    issues = json.loads(sample.run("issues", "requests", "--json"))
    assert len(issues) == scored["issues"]
    assert [issue["rank"] for issue in issues] == list(range(1, len(issues) + 1))
    assert [issue["self_confidence"] for issue in issues] == sorted(i["self_confidence"] for i in issues)
    assert set(issues[0]) == {
        "rank", "id", "split", "text", "given_label", "suggested_label",
        "self_confidence", "suggested_confidence", "state",
    }  # fmt: skip

    planned = json.loads(sample.run("autofix", "requests", "--top", "5", "--dry-run", "--json"))
    assert planned["rows"] == 5
    assert (planned["evidence"]["reviewed"], planned["evidence"]["drawn"]) == (0, 0)
    assert planned["protected"]["decided"] == 0
    said = sample.run("autofix", "requests", "--all", "--dry-run")
    assert "unknown, nobody has reviewed rows like these yet" in said
    fixed = json.loads(sample.run("autofix", "requests", "--top", "5", "--json"))
    assert fixed["changed"] == 5
    states = [issue["state"] for issue in json.loads(sample.run("issues", "requests", "--json"))]
    assert states.count("auto_fixed") == 5
    assert states[:5] == ["auto_fixed"] * 5

    out = sample.folder / "out.jsonl"
    sample.run("export", "requests", "--format", "chat-jsonl", "--out", out)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 480
    assert all([turn["role"] for turn in row["messages"]] == ["user", "assistant"] for row in rows)
    manifest = json.loads(Path(f"{out}.manifest.json").read_text(encoding="utf-8"))
    assert manifest["decisions"]["auto_fixed"] == 5
    assert manifest["rows"] == 480

    assert "5 labels are as before" in sample.run("undo", str(fixed["batch"]))
    dry = sample.run("finetune", "requests", "--provider", "openai", "--model", "m-1", "--dry-run")
    assert "/fine_tuning/jobs" in dry
    assert "setright_key" in dry

    results = json.loads(sample.run("experiment", "requests", "--seeds", "0,1", "--json"))
    assert results["test_rows"] == 120
    accuracy = {name: found["accuracy"] for name, found in results["variants"].items()}
    assert all(0.7 < value < 1 for value in accuracy.values()), accuracy
    assert results["variants"]["dropped"]["rows"] == 480 - scored["issues"]
    assert all(0 < test["p_value"] <= 1 for test in results["paired"].values())


def test_update_keeps_decisions_and_makes_no_duplicates(any_terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("id,text,label\na,first text,x\nb,second text,y\nc,third text,x\n", encoding="utf-8")
    any_terminal.run("import", file, "--dataset", "d", "--id", "id")
    assert "already in d" in any_terminal.fails("import", file, "--dataset", "d", "--id", "id")
    file.write_text("id,text,label\na,first text,x\nb,second text,x\nd,fourth text,y\n", encoding="utf-8")
    report = json.loads(
        any_terminal.run("import", file, "--dataset", "d", "--id", "id", "--update", "--json")
    )
    assert {name: report[name] for name in ("new", "changed", "same", "missing", "rejected")} == {
        "new": 1, "changed": 1, "same": 1, "missing": 1, "rejected": 0,
    }  # fmt: skip
    listed = json.loads(any_terminal.run("datasets", "list", "--json"))
    assert listed[0]["train"] == 4


def test_several_annotators_become_one_label(terminal: Terminal, tmp_path: Path) -> None:
    ratings, texts = tmp_path / "ratings.csv", tmp_path / "texts.csv"
    texts.write_text("id,text\n1,thank you so much\n2,go away\n", encoding="utf-8")
    ratings.write_text(
        "id,annotator,label\n1,ann,polite\n1,bob,polite\n1,cy,rude\n2,ann,rude\n2,bob,rude\n",
        encoding="utf-8",
    )
    terminal.run("import", ratings, "--dataset", "d", "--annotator", "annotator", "--texts", texts)
    out = tmp_path / "out.csv"
    terminal.run("export", "d", "--format", "csv", "--variant", "original", "--out", out)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["label"], row["annotators"]) for row in rows] == [
        ("1", "polite", "3"),
        ("2", "rude", "2"),
    ]


def test_annotators_are_judged(terminal: Terminal, tmp_path: Path) -> None:
    ratings, rows = tmp_path / "ratings.csv", tmp_path / "consensus.csv"
    said = {0: ("polite", "thank you so much"), 1: ("rude", "go away now")}
    with ratings.open("w", encoding="utf-8") as file:
        file.write("id,text,who,label\n")
        for row in range(40):
            label, text = said[row % 2]
            wrong = said[1 - row % 2][0]
            for who, given in (("ann", label), ("bob", label), ("cy", wrong if row % 3 else label)):
                file.write(f"{row},{text} {row},{who},{given}\n")
    terminal.run("import", ratings, "--dataset", "d", "--annotator", "who")
    assert "Nothing is known" in terminal.fails("annotators", "d")
    terminal.run("score", "d", "--embedder", "tfidf")
    told = json.loads(terminal.run("annotators", "d", "--rows", rows, "--json"))
    assert (told["rows"], told["ratings"], told["annotators"]) == (40, 120, 3)
    assert told["people"][0]["name"] == "cy"
    with rows.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["consensus_label"] for row in found] == [said[row % 2][0] for row in range(40)]
    assert found[1]["ratings"] == "ann=rude bob=rude cy=polite"


@pytest.mark.slow
def test_the_original_experiment_by_commands(terminal: Terminal) -> None:
    terminal = replace(terminal, own_process=True)
    folder = DATA / "politeness"
    if not folder.is_dir():
        pytest.skip(f"no politeness data in {DATA}: set SETRIGHT_DATA")
    for split in ("train", "test"):
        terminal.run(
            "import", folder / f"{split}.csv", "--dataset", "politeness", "--id", "id", "--split", split
        )
    scored = json.loads(terminal.run("score", "politeness", "--json"))
    assert 400 < scored["issues"] < 800
    terminal.run("autofix", "politeness", "--recommended")
    out = terminal.folder / "politeness.jsonl"
    terminal.run("export", "politeness", "--format", "chat-jsonl", "--out", out)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 1916
    assert {line["messages"][-1]["content"] for line in lines} == {"impolite", "neutral", "polite"}
    results = json.loads(terminal.run("experiment", "politeness", "--json"))["variants"]
    assert {name: found["rows"] for name, found in results.items()}["original"] == 1916
    assert all(0.45 < found["accuracy"] < 0.75 for found in results.values())
