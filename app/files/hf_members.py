"""The files of a Hugging Face dataset in a zip archive: which hold rows, of which split."""

import re
import zipfile
from pathlib import Path, PurePosixPath

from app.errors import InvalidInput, TooLarge
from app.files.opening import HARMLESS_BYTES, Source
from app.languages import _

COLUMNAR_ENDINGS = (".parquet", ".arrow")
DATA_ENDINGS = (*COLUMNAR_ENDINGS, ".jsonl", ".ndjson", ".csv", ".tsv")
MARKS = ("readme.md", "dataset_info.json", "dataset_infos.json", "dataset_dict.json")
"""Files by which a folder of text files is known to be a dataset, not any archive."""
WORKBOOK = "[content_types].xml"
MAX_MEMBERS = 5_000
BROKEN_ZIP = (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError)
_WORD = re.compile(r"[a-z]+")
_TEST_WORDS = frozenset({"test", "tests", "testing", "valid", "validation", "val", "dev", "eval", "holdout"})


def is_folder_of_data(path: Path) -> bool:
    """Say whether a zip archive holds data files rather than a workbook."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.lower() for name in archive.namelist()]
    except BROKEN_ZIP:
        return False
    if WORKBOOK in names:
        return False
    is_marked = any(PurePosixPath(name).name in MARKS for name in names)
    endings = DATA_ENDINGS if is_marked else COLUMNAR_ENDINGS
    return any(name.endswith(endings) for name in names)


def zip_folder(folder: Path, out: Path, *, max_bytes: int) -> None:
    """Put the data files of a folder into an archive, as they lie there.

    Raises
    ------
    InvalidInput, TooLarge
        Where the folder holds no data files, or too much of them.
    """
    found = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in DATA_ENDINGS and path.is_file()
    )
    if not found:
        raise InvalidInput(
            _(
                "The folder %(folder)s holds no data files (%(data_endings)s).",
                folder=folder.name,
                data_endings=", ".join(DATA_ENDINGS),
            )
        )
    if sum(path.stat().st_size for path in found) > max_bytes:
        raise TooLarge(
            _(
                "The files of %(folder)s have more than %(max_bytes)s bytes (SETRIGHT_MAX_FILE_BYTES).",
                folder=folder.name,
                max_bytes=f"{max_bytes:,}",
            )
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("README.md", "")
        for path in found:
            archive.write(path, path.relative_to(folder).as_posix())


def data_members(source: Source, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Give the files that hold rows, in order, after checking what they would unpack to."""
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise TooLarge(
            _(
                "%(source)s holds %(members)s files; the limit is %(max_members)s.",
                source=source.name,
                members=f"{len(members):,}",
                max_members=f"{MAX_MEMBERS:,}",
            )
        )
    found = sorted(
        (one for one in members if one.filename.lower().endswith(DATA_ENDINGS) and not _is_hidden(one)),
        key=lambda one: (split_of(one.filename), one.filename),
    )
    if not found:
        raise InvalidInput(
            _(
                "%(source)s holds no data files; they end in %(data_endings)s.",
                source=source.name,
                data_endings=", ".join(DATA_ENDINGS),
            )
        )
    unpacked, packed = sum(one.file_size for one in found), sum(one.compress_size for one in found)
    limits = source.limits
    if unpacked > limits.max_unzipped_bytes:
        raise TooLarge(
            _(
                "%(source)s unpacks to more than %(max_unzipped_bytes)s bytes (SETRIGHT_MAX_UNZIPPED_BYTES).",
                source=source.name,
                max_unzipped_bytes=f"{limits.max_unzipped_bytes:,}",
            )
        )
    if unpacked > HARMLESS_BYTES and unpacked > limits.max_zip_ratio * max(packed, 1):
        raise TooLarge(
            _(
                "%(source)s unpacks to more than %(max_zip_ratio)s times its size (SETRIGHT_MAX_ZIP_RATIO).",
                source=source.name,
                max_zip_ratio=limits.max_zip_ratio,
            )
        )
    return found


def split_of(name: str) -> str:
    """Give the split that a file's path names: validation rows are test rows here, all others train rows."""
    words = set(_WORD.findall(name.lower()))
    return "train" if "train" in words or not words & _TEST_WORDS else "test"


def _is_hidden(member: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(member.filename).parts
    return member.is_dir() or any(part.startswith((".", "__MACOSX")) for part in parts)
