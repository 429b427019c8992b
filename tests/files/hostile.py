"""More than a hundred files that people and attackers really send, made on the spot."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.files.hostile_binaries import binaries, gzips, parquets, workbooks
from tests.files.hostile_exchange import exchanges
from tests.files.hostile_texts import (
    HEADER,
    MEGABYTE,
    PLAIN,
    Made,
    classes,
    contents,
    delimited,
    empty,
    encodings,
    fine_tuning,
    json_documents,
    json_lines,
    names,
    quotes,
)

MAKERS: tuple[Callable[[], Iterator[Made]], ...] = (
    empty,
    encodings,
    delimited,
    quotes,
    contents,
    classes,
    json_lines,
    json_documents,
    fine_tuning,
    binaries,
    gzips,
    names,
    exchanges,
)


@dataclass(frozen=True)
class HostileFile:
    """A file on disk, the name that it claims to have, and what is wrong with it."""

    name: str
    path: Path
    why: str


def hostile_files(folder: Path, *, long_line_bytes: int = 20 * MEGABYTE) -> list[HostileFile]:
    """Write all hostile files into a folder; lines that are meant to be long have `long_line_bytes`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [one for make in MAKERS for one in make()]
    files = [_saved(folder, number, one) for number, one in enumerate(made)]
    files.extend(_long_lines(folder, long_line_bytes))
    files.extend(HostileFile(*one) for one in parquets(folder))
    files.extend(HostileFile(*one) for one in workbooks(folder))
    files.append(HostileFile("a folder.csv", _made_folder(folder), "a folder, not a file"))
    return files


def _saved(folder: Path, number: int, made: Made) -> HostileFile:
    name, data, why = made
    path = folder / f"{number:03}.bin"
    path.write_bytes(data)
    return HostileFile(name, path, why)


def _made_folder(folder: Path) -> Path:
    path = folder / "a-folder"
    path.mkdir(exist_ok=True)
    return path


def _long_lines(folder: Path, size: int) -> Iterator[HostileFile]:
    kinds = {
        "long line.csv": (HEADER + "1,", ",yes\n2,fine,no\n"),
        "long quoted.csv": (HEADER + '1,"', '",yes\n2,fine,no\n'),
        "long unclosed.csv": (HEADER + '1,"', "\n2,fine,no\n"),
        "long header.csv": ("", ",label\n1,yes\n"),
        "long line.jsonl": (
            '{"text": "a", "label": "b"}\n{"text": "',
            '", "label": "b"}\n{"text": "c", "label": "d"}\n',
        ),
        "long string.json": ('[{"text": "', '", "label": "b"}]'),
    }
    for name, (start, end) in kinds.items():
        path = folder / name
        with path.open("wb") as out:
            out.write(start.encode())
            for _ in range(size // MEGABYTE):
                out.write(b"a" * MEGABYTE)
            out.write(end.encode())
        yield HostileFile(name, path, f"a line of {size:,} bytes")
    path = folder / "sparse.csv"
    with path.open("wb") as out:
        out.write(PLAIN.encode())
        out.truncate(size)
    yield HostileFile("sparse.csv", path, "a sparse file: NULs to the end")
