"""The pages for people: what they tell to type works, and every link leads somewhere."""

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.samples import sample_path
from tests.commands.terminal import ROOT, Terminal

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code on a page: its language and its lines."""

    language: str
    lines: list[str]

    def commands(self) -> list[list[str]]:
        """Return the words of each command of ours; where a line ends with a backslash, it goes on."""
        if self.language in {"text", "python"}:
            return []
        whole = "\n".join(self.lines).replace("\\\n", " ")
        words = [shlex.split(line, comments=True) for line in whole.splitlines()]
        return [line[1:] for line in words if line and line[0] == "setright"]


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Block(language, body.splitlines()) for language, body in BLOCK.findall(text)]


@pytest.mark.slow
def test_readme_and_tutorial_do_what_they_say(tmp_path: Path) -> None:
    terminal = Terminal(home=tmp_path / "home", database_url="", folder=tmp_path)
    write_files(tmp_path)
    said: list[str] = []
    for page in ("README.md", "docs/tutorial.md"):
        ran = 0
        for block in blocks(page):
            if block.language == "text":
                check_said(block, said)
            for command in block.commands():
                said = terminal.run(*command).splitlines()
                ran += 1
            if block.language == "python":
                exec("\n".join(block.lines), {"__name__": page})  # noqa: S102 — it is our own page
        assert ran > 5


def check_said(block: Block, said: list[str]) -> None:
    """Compare what a page shows with what was said; `…` stands for what is left out, or differs."""
    for line in block.lines:
        pattern = ".*".join(re.escape(" ".join(part.split())) for part in line.split("…"))
        found = any(re.fullmatch(pattern, " ".join(one.split())) for one in said)
        assert found, f"{line!r} is not among {said}"


def write_files(folder: Path) -> None:
    """Write the files that the pages speak of: a sample, whole and by its splits."""
    shutil.copy(sample_path(), folder / "support_requests.csv")
    header, *rows = sample_path().read_text(encoding="utf-8").splitlines(keepends=True)
    for split in ("train", "test"):
        kept = [row for row in rows if f",{split}," in row]
        (folder / f"{split}.csv").write_text("".join([header, *kept]), encoding="utf-8")


def test_make_has_the_targets_that_are_named() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    named = {name for page in pages for name in re.findall(r"`?\bmake ([a-z-]+)`", page.read_text("utf-8"))}
    assert {"run", "help"} <= named
    assert [name for name in named if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_the_site_is_whole(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        env={"PATH": "", "NO_MKDOCS_2_WARNING": "1", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*.html")}
    assert {f"{page.stem}.html" for page in (ROOT / "docs").glob("*.md")} <= pages
    assert {"security.html", "changelog.html"} <= pages
    for page in pages:
        text = (tmp_path / "site" / page).read_text(encoding="utf-8")
        assert re.findall(r'<(?:script|link)[^>]+(?:src|href)="https?://', text) == [], "it works offline"


def test_links_between_the_files_of_the_checkout_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith(("mailto:", "security.md")):
                broken += [] if (page.parent / target).exists() else [f"{page.name}: {target}"]
    assert broken == []
