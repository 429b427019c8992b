"""Files of a test and what reading them gives."""

from dataclasses import dataclass
from pathlib import Path

from app.files.reading import preview, read_rows
from app.files.rows import Columns, Layout, Limits, Preview, Rejected, Row

LIMITS = Limits()


@dataclass(frozen=True)
class Read:
    """Everything that came out of one file."""

    preview: Preview
    rows: list[Row]
    rejected: list[Rejected]

    @property
    def texts(self) -> list[str]:
        return [row.text for row in self.rows]

    @property
    def labels(self) -> list[str | None]:
        return [row.label for row in self.rows]

    @property
    def reasons(self) -> list[tuple[int, str]]:
        return [(one.line, one.reason) for one in self.rejected]


def saved(folder: Path, data: bytes | str, name: str) -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def read(
    folder: Path,
    data: bytes | str,
    *,
    name: str = "file.csv",
    layout: Layout | None = None,
    columns: Columns | None = None,
    limits: Limits = LIMITS,
    allow_unlabelled: bool = False,
) -> Read:
    """Preview a file and read all of it as the preview proposes."""
    return read_path(
        saved(folder, data, name),
        layout=layout,
        columns=columns,
        limits=limits,
        allow_unlabelled=allow_unlabelled,
    )


def read_path(
    path: Path,
    *,
    layout: Layout | None = None,
    columns: Columns | None = None,
    limits: Limits = LIMITS,
    allow_unlabelled: bool = False,
) -> Read:
    seen = preview(path, name=path.name, limits=limits, layout=layout)
    found = list(
        read_rows(path, seen.layout, columns or seen.guess, limits=limits, allow_unlabelled=allow_unlabelled)
    )
    rows = [one for one in found if isinstance(one, Row)]
    rejected = [one for one in found if isinstance(one, Rejected)]
    return Read(seen, rows, rejected)
