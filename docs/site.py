"""What the site needs beside its pages: those of the folder above, links to them, only what exists."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
ABOVE = {"SECURITY.md": "security.md", "CHANGELOG.md": "changelog.md", "README.md": "index.md"}
"""Files of the folder above, and what they are called on the site."""
MORE = "More"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages of the folder above, and let the navigation name every page once and no other."""
    for source, name in ABOVE.items():
        if files.get_file_from_path(name) is None:
            text = (ROOT / source).read_text(encoding="utf-8")
            files.append(File.generated(config, name, content=text.replace("](docs/", "](")))
    present = {file.src_uri for file in files.documentation_pages()}
    kept = _present(config.nav or [], present)
    named = set(_named(kept))
    if unnamed := sorted(present - named):
        kept.append({MORE: unnamed})
    config.nav = kept
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 — the hook's signature
    """Lead links to the folder above to their page here; what is no page stays as text."""
    for source, name in ABOVE.items():
        markdown = re.sub(rf"\]\((?:\.\./)?{source}(#[\w-]*)?\)", rf"]({name}\1)", markdown)
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]*\)", r"\1", markdown)


def _present(nav: list[Any], present: set[str]) -> list[Any]:
    """Leave out pages that are not there, and sections without any."""
    kept: list[Any] = []
    for one in nav:
        ((title, inside),) = one.items()
        if isinstance(inside, list):
            if found := _present(inside, present):
                kept.append({title: found})
        elif inside in present:
            kept.append(one)
    return kept


def _named(nav: list[Any]) -> list[str]:
    return [
        name
        for one in nav
        for inside in one.values()
        for name in (_named(inside) if isinstance(inside, list) else [inside])
    ]
