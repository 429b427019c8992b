"""Bring every catalogue of the interface up to date with the code and the templates: `make languages`.

Named with a language that has no catalogue yet, as in `python -m docs.translations ar`, it begins one.
"""

import io
import os
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_keywords, parse_mapping_cfg
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "app" / "languages"
KEYWORDS = {**DEFAULT_KEYWORDS, **parse_keywords(["N_", "n_:1,2", "pgettext:1c,2"])}
WIDTH = 110


def gather() -> Catalog:
    """Return every sentence that stands in the code and the templates, with the files it stands in."""
    with (FOLDER / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call] # babel says no types here
    found = Catalog(fuzzy=False)
    for name, _line, message, comments, context in extract_from_dir(
        ROOT, methods, options, keywords=KEYWORDS, directory_filter=_is_read
    ):
        found.add(message, locations=[(name, 0)], auto_comments=comments, context=context)
    return found


def _is_read(folder: str | os.PathLike[str]) -> bool:
    return Path(folder).relative_to(ROOT).parts[0] in {"app", "templates"}


def renewed(language: str, found: Catalog) -> bytes:
    """Return the file of a language with the sentences there are now; what it has for them stays."""
    is_known = (FOLDER / f"{language}.po").exists()
    known = read(language) if is_known else Catalog(locale=language.replace("-", "_"), project="Setright")
    known.update(found, no_fuzzy_matching=True, update_creation_date=False)
    file = io.BytesIO()
    write_po(file, known, width=WIDTH, sort_by_file=True, include_lineno=False, ignore_obsolete=True)
    return file.getvalue()


def read(language: str) -> Catalog:
    """Return the catalogue of a language as it is."""
    with (FOLDER / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language.replace("-", "_"))


def main(languages: list[str]) -> None:
    """Write the catalogues of these languages, or of all that have one."""
    found = gather()
    for language in languages or sorted(path.stem for path in FOLDER.glob("*.po")):
        path = FOLDER / f"{language}.po"
        path.write_bytes(renewed(language, found))
        missing = len([one for one in read(language) if one.id and not _is_whole(one.string)])
        sys.stdout.write(f"{path.relative_to(ROOT)}: {len(found)} sentences, {missing} to be translated\n")


def _is_whole(said: str | tuple[str, ...] | list[str] | None) -> bool:
    parts = [said] if isinstance(said, str) else said or [""]
    return all(parts)


if __name__ == "__main__":
    main(sys.argv[1:])
