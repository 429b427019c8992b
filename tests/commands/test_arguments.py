"""Exit codes and sentences: 2 before anything is opened, 1 for what is missing or failed."""

import re
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from app.cli import ROOMS, commands
from app.db import Database
from app.services.operation import workers
from tests.commands.terminal import Terminal

WRONG = [
    ["frobnicate"],
    ["import", "x.csv"],
    ["import", "x.csv", "--dataset", "d", "--split", "dev"],
    ["import", "x.csv", "--dataset", "d", "--encoding", "klingon"],
    ["import", "x.csv", "--dataset", "d", "--split", "test", "--split-column", "s"],
    ["autofix", "d", "--all", "--top", "3"],
    ["autofix", "d", "--min-confidence", "1.5"],
    ["export", "d", "--format", "docx"],
    ["export", "d", "--format", "csv", "--split", "dev"],
    ["export", "d", "--format", "csv", "--variant", "best"],
    ["experiment", "d", "--seeds", "one"],
    ["experiment", "d", "--trainer", "magic"],
    ["experiment", "d", "--setting", "epochs=many"],
    ["experiment", "d", "--report", "report.txt"],
    ["finetune", "d", "--provider", "a c m e", "--model", "m"],
    ["finetune", "d", "--provider", "openai"],
    ["score", "d", "--seed", "-1"],
    ["serve", "--port", "70000"],
    ["user", "add", "ann", "--role", "king"],
    ["undo", "first"],
    ["undo", "99999999999999999999"],
    ["token", "revoke", "99999999999999999999"],
    ["demo", "--dataset", "other"],
]


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_arguments_end_with_2_before_anything_is_opened(words: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(commands(), words)
    assert done.exit_code == 2, done.output
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_adds_the_commands_it_is_loaded_for(room: str) -> None:
    added = typer.main.get_command(commands(room))
    assert isinstance(added, TyperGroup)
    assert set(added.commands) == set(ROOMS[room])


MISSING = [
    (["import", "nowhere.csv", "--dataset", "d"], "There is no file nowhere.csv."),
    (["audit", "nowhere.csv"], "nowhere.csv"),
    (["score", "nothing"], "There is no dataset 'nothing'"),
    (["issues", "nothing"], "There is no dataset 'nothing'"),
    (["autofix", "nothing"], "There is no dataset 'nothing'"),
    (["export", "nothing", "--format", "csv"], "There is no dataset 'nothing'"),
    (["experiment", "nothing"], "There is no dataset 'nothing'"),
    (["test-split", "nothing"], "There is no dataset 'nothing'"),
    (["undo", "7"], "There is no batch 7."),
    (["token", "revoke", "9"], "There is no token 9"),
    (["user", "role", "nobody", "lead"], "There is no user 'nobody'"),
    (["finetune", "nothing", "--provider", "openai", "--model", "m"], "SETRIGHT_OPENAI_API_KEY"),
    (["restore", "nowhere.db"], "There is no file nowhere.db."),
]


def test_what_is_missing_ends_with_1_and_one_sentence(terminal: Terminal) -> None:
    for words, sentence in MISSING:
        said = terminal.fails(*words)
        assert sentence in said
        assert "\n" not in said


def test_every_command_has_help_with_an_example() -> None:
    group = typer.main.get_command(commands())
    pages = _help_pages(group, [])
    assert len(pages) >= 25
    for words, page in pages:
        assert re.search(r"Example: setright " + words[0], page), words


def _help_pages(command: object, words: list[str]) -> list[tuple[list[str], str]]:
    inner = getattr(command, "commands", None)
    if inner:
        return [found for name in inner for found in _help_pages(inner[name], [*words, name])]
    return [(words, CliRunner().invoke(commands(), [*words, "--help"]).output)]


def test_a_failed_import_leaves_no_trace(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(b"text,label\n" + b"fine,x\n" * 3000 + "déjà vu".encode("latin-1") + b",x\n")
    said = terminal.fails("import", file, "--dataset", "d", "--encoding", "utf-8")
    assert "utf-8" in said
    assert terminal.run("datasets", "list") == (
        "There is no dataset yet: try `setright demo`, or `setright import FILE --dataset NAME`.\n"
    )
    assert list((terminal.home / "uploads").iterdir()) == []


def test_scoring_says_plainly_why_it_cannot(terminal: Terminal, tmp_path: Path) -> None:
    one_class, one_text = tmp_path / "class.csv", tmp_path / "text.csv"
    one_class.write_text(
        "text,label\n" + "".join(f"text number {n},x\n" for n in range(30)), encoding="utf-8"
    )
    one_text.write_text("text,label\n" + "".join(f"the same,{n % 2}\n" for n in range(30)), encoding="utf-8")
    terminal.run("import", one_class, "--dataset", "classes")
    terminal.run("import", one_text, "--dataset", "texts")
    assert "All rows have the same label" in terminal.fails("score", "classes")
    assert "All rows have the same text" in terminal.fails("score", "texts")


def test_people_and_tokens(terminal: Terminal) -> None:
    assert "--role admin" in terminal.fails("user", "add", "bob", "--password-stdin", code=1)
    terminal.run("user", "add", "ann", "--role", "admin", "--password-stdin", stdin="correct horse battery\n")
    terminal.run("user", "add", "bob", "--password-stdin", stdin="another long secret\n")
    terminal.run("user", "role", "bob", "lead")
    assert terminal.run("user", "list") == "ann: admin\nbob: lead\n"
    made = terminal.run("token", "create", "ci", "--user", "bob", "--days", "3")
    assert re.search(r"setright_[\w-]{40,}", made)
    assert terminal.run("token", "list").startswith("1: ci, never used, ends ")
    terminal.run("token", "revoke", "1")
    assert terminal.run("token", "list") == "There is no token.\n"
    assert (
        "password" in terminal.start("user", "add", "cy", "--password-stdin", stdin="short\n").stderr.lower()
    )


def test_backup_and_restore_bring_back_the_same_rows(terminal: Terminal, tmp_path: Path) -> None:
    file, copy = tmp_path / "rows.csv", tmp_path / "copy.zip"
    file.write_text("text,label\none text,x\nanother text,y\n", encoding="utf-8")
    terminal.run("import", file, "--dataset", "d")
    terminal.run("backup", copy)
    terminal.run("datasets", "delete", "d", "--yes")
    assert "no dataset yet" in terminal.run("datasets", "list")
    terminal.run("restore", copy)
    assert terminal.run("datasets", "list").startswith("d: 2 train")
    assert "it holds the datasets d: say --replace" in terminal.fails("restore", copy)
    terminal.run("restore", copy, "--replace")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK" + b"\xff" * 500)
    assert "broken.zip" in terminal.fails("restore", broken, "--yes")


def test_others_cannot_reach_it_before_there_is_an_admin(terminal: Terminal) -> None:
    said = terminal.fails("serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 — must be refused
    assert "setright user add" in said


def test_doctor_looks_at_everything(terminal: Terminal) -> None:
    terminal.run("migrate")
    said = terminal.run("doctor")
    for what in ("database", "migrations", "workers", "weights", "disk", "clock", "provider"):
        assert f"ok    {what}: " in said


def test_doctor_says_whether_a_worker_of_this_machine_lives(terminal: Terminal) -> None:
    terminal.run("migrate")
    host = workers.host_name()
    database = Database(f"sqlite:///{terminal.home / 'setright.db'}")
    with database.write() as session:
        workers.start(session, "elsewhere-1", host="elsewhere", pid=1)
    assert "Something needs attention" in terminal.fails("doctor", "--worker")
    with database.write() as session:
        workers.start(session, f"{host}-1", host=host, pid=1)
    assert terminal.run("doctor", "--worker") == f"ok    worker: {host}-1\n"
    with database.write() as session:
        workers.stop(session, f"{host}-1")
    assert f"FAIL  worker: no worker of {host} " in terminal.run("doctor", "--worker", code=1)
    database.close()
