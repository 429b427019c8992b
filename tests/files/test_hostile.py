import builtins
import re
import resource
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import AppError
from app.files.reading import preview, read_records, read_rows
from app.files.rows import Layout, Limits, Rejected, Row
from tests.files.hostile import HostileFile, hostile_files

LIMITS = Limits()
MEGABYTE = 1024**2
ROWS = 150_000
CLASS_NAMES = re.compile(
    r"\b(" + "|".join(name for name in dir(builtins) if name.endswith("Error")) + r"|Traceback|Exception)\b"
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> list[HostileFile]:
    return hostile_files(tmp_path_factory.mktemp("hostile"))


def outcome(file: HostileFile) -> str:
    """Read a file to its end; give the sentence it ends with, or "" where it has rows or rejections."""
    try:
        seen = preview(file.path, name=file.name, limits=LIMITS)
        roles = seen.proposed
        unlabelled = roles.label is None
        rows = read_rows(file.path, seen.layout, roles, limits=LIMITS, allow_unlabelled=unlabelled)
        found = [check(one) for one in rows]
    except AppError as error:
        return str(error) or "an empty sentence"
    return "" if found else "nothing at all"


def check(one: Row | Rejected) -> bool:
    if isinstance(one, Rejected):
        assert one.reason
        assert len(one.raw) <= 500
        assert not CLASS_NAMES.search(one.reason)
    else:
        assert one.text.strip()
    return isinstance(one, Row)


def test_every_hostile_file_ends_well(hostile: list[HostileFile]) -> None:
    assert len(hostile) >= 100
    assert len({(file.name, file.why) for file in hostile}) == len(hostile)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for file in hostile:
        started = time.process_time()  # not the clock on the wall: the machine may be busy
        sentence = outcome(file)
        assert sentence not in {"an empty sentence", "nothing at all"}, file
        assert time.process_time() - started < 20, file
        assert not CLASS_NAMES.search(sentence), (file, sentence)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300 * 1024, f"{grown} KB more"


@pytest.fixture
def big_csv(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "big.csv"
    with path.open("w") as out:
        out.write("id,text,label\n")
        for n in range(ROWS):
            sentence = f"a sentence, number {n}, long enough to fill a line of a file and so on; "
            out.write(f'{n},"{sentence * 4}",c{n % 7}\n')
    yield path
    path.unlink()


@pytest.mark.slow
def test_a_big_file_is_read_with_little_memory(big_csv: Path) -> None:
    assert big_csv.stat().st_size > 40 * MEGABYTE
    tracemalloc.start()
    try:
        rows = sum(1 for _ in read_records(big_csv, Layout("csv"), limits=LIMITS))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == ROWS
    assert peak < 30 * MEGABYTE


def test_a_very_long_line_is_never_held(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("wb") as out:
        out.write(b"text,label\n")
        for _ in range(100):
            out.write(b"a" * MEGABYTE)
        out.write(b",x\nb,y\n")
    tracemalloc.start()
    try:
        found = list(read_records(path, Layout("csv"), limits=LIMITS))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [isinstance(one, Rejected) for one in found] == [True, False]
    assert peak < 60 * MEGABYTE
