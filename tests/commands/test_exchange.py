"""Files of other tools by command: decisions come in, checked files and exchange files go out."""

import json
import zipfile
from pathlib import Path

import pytest

from tests.commands.terminal import Terminal
from tests.jobs.test_adopting import STUDIO


@pytest.mark.slow
def test_a_cleanset_comes_in_and_goes_out_again(terminal: Terminal) -> None:
    file = terminal.folder / "cleanset.csv"
    file.write_text(STUDIO)
    said = terminal.run("import", file, "--dataset", "films")
    assert "The file is from Cleanlab Studio." in said
    assert "5 decisions taken over; `setright undo 1`." in said
    out = terminal.folder / "out.zip"
    terminal.run("export", "films", "--format", "hf-datasets", "--out", out)
    folder = terminal.folder / "set"
    zipfile.ZipFile(out).extractall(folder)
    report = json.loads(terminal.run("import", folder, "--dataset", "again", "--json"))
    assert (report["format"], report["origin"]) == ("hf-datasets", "Hugging Face datasets")
    assert (report["new"], report["decisions"]) == (5, 4)  # the excluded row was left out
    plain = json.loads(terminal.run("import", file, "--dataset", "plain", "--no-decisions", "--json"))
    assert (plain["new"], plain["decisions"]) == (6, 0)
    (terminal.folder / "bare").mkdir()
    assert "holds no data files" in terminal.fails("import", terminal.folder / "bare", "--dataset", "none")


def test_an_export_for_fine_tuning_is_checked(terminal: Terminal) -> None:
    rows = "".join(f"text number {n},{'ab'[n % 2]}\n" for n in range(60))
    file = terminal.folder / "rows.csv"
    file.write_text("text,label\n" + rows)
    terminal.run("import", file, "--dataset", "rows")
    out = terminal.folder / "out.jsonl"
    said = terminal.run(
        "export", "rows", "--format", "chat-jsonl", "--out", out, "--validation", "20", "--seed", "3",
        "--template", "Which? {text}", "--system-prompt", "Say {labels}.", "--code", "a=A",
    )  # fmt: skip
    assert "tokens (" in said
    assert "would refuse" not in said
    held = out.with_suffix(".validation.jsonl").read_text().splitlines()
    assert (len(out.read_text().splitlines()), len(held)) == (48, 12)
    messages = json.loads(held[0])["messages"]
    assert messages[0]["content"] == "Say A, b."
    assert messages[1]["content"].startswith("Which? text number ")
    assert Path(f"{out}.faults.csv").read_text().startswith("weight,fault,")
    assert "is not LABEL=CODE" in terminal.fails(
        "export", "rows", "--format", "chat-jsonl", "--code", "x", code=2
    )


def test_a_fine_tune_that_would_be_refused_sends_nothing(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = terminal.folder / "few.csv"
    file.write_text("text,label\na b,x\nc d,y\n")
    terminal.run("import", file, "--dataset", "few")
    words = ("finetune", "few", "--provider", "openai", "--model", "m")
    assert "refuse it for one fault." in terminal.run(*words, "--dry-run")
    monkeypatch.setenv("SETRIGHT_OPENAI_API_KEY", "sk-none")
    sentence = terminal.fails(*words)
    assert "2 rows; services ask for at least 10" in sentence
