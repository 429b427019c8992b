"""What travels between files and the rest: layouts, columns, records, rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"

FORMATS: tuple[str, ...] = (
    "csv",
    "jsonl",
    "json",
    "chat-jsonl",
    "completion-jsonl",
    "parquet",
    "xlsx",
    "label-studio",
    "argilla",
    "hf-datasets",
)
ENCODINGS: tuple[str, ...] = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252", "shift_jis", "gb18030")

RAW_CHARS = 500


@dataclass(frozen=True)
class Limits:
    """Bounds of one file; the caller passes those of its settings."""

    max_file_bytes: int = 2 * 1024**3
    max_text_chars: int = 100_000
    max_line_bytes: int = 8 * 1024**2
    max_columns: int = 500
    max_unzipped_bytes: int = 4 * 1024**3
    max_zip_ratio: int = 200
    max_classes: int = 1000


@dataclass(frozen=True)
class Layout:
    """How the bytes of a file are to be read.

    Handed to ``preview`` it may be partial: an empty ``format`` and every ``None`` are detected.
    ``quotechar`` "" means that quotes are ordinary characters; ``separator`` and ``stop`` are the ends of
    the prompts and completions of a completion file.
    """

    format: str
    encoding: str | None = None
    delimiter: str | None = None
    quotechar: str | None = None
    sheet: str | None = None
    separator: str | None = None
    stop: str | None = None

    def to_json(self) -> dict[str, str | None]:
        return {
            "format": self.format,
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "quotechar": self.quotechar,
            "sheet": self.sheet,
            "separator": self.separator,
            "stop": self.stop,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Layout:
        names = ("encoding", "delimiter", "quotechar", "sheet", "separator", "stop")
        return cls(format=stored["format"], **{name: stored.get(name) for name in names})


SINGLE_ROLES = (
    "text",
    "label",
    "id",
    "split",
    "annotator",
    "corrected_label",
    "decision",
    "decided_by",
    "decided_at",
)
"""What one column of a file can be; all others are metadata, or left out."""


@dataclass(frozen=True)
class Columns:
    """Which column holds what; `origin` is the tool that a file was recognised to come from."""

    text: str | None
    label: str | None
    id: str | None = None
    split: str | None = None
    annotator: str | None = None
    metadata: tuple[str, ...] = ()
    corrected_label: str | None = None
    decision: str | None = None
    decided_by: str | None = None
    decided_at: str | None = None
    origin: str | None = None
    filterable: tuple[str, ...] = ()  # those of the metadata that rows can be filtered by

    def to_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in (*SINGLE_ROLES[5:], "origin")}
        return {
            "text": self.text,
            "label": self.label,
            "id": self.id,
            "split": self.split,
            "annotator": self.annotator,
            "metadata": list(self.metadata),
            **{name: value for name, value in told.items() if value is not None},
            "filterable": list(self.filterable),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Columns:
        return cls(
            text=stored.get("text"),
            label=stored.get("label"),
            id=stored.get("id"),
            split=stored.get("split"),
            annotator=stored.get("annotator"),
            metadata=tuple(stored.get("metadata") or ()),
            corrected_label=stored.get("corrected_label"),
            decision=stored.get("decision"),
            decided_by=stored.get("decided_by"),
            decided_at=stored.get("decided_at"),
            origin=stored.get("origin"),
            filterable=tuple(stored.get("filterable") or ()),
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it stands in the file; `line` is where it starts, 1-based."""

    line: int
    values: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Row:
    """One usable row; `context` is what the chat format needs to be written back."""

    line: int
    text: str
    label: str | None
    id: str | None = None
    split: str | None = None
    annotator: str | None = None
    metadata: dict[str, JsonValue] = field(default_factory=dict)
    context: dict[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be used, why, and at most 500 characters of what stood there."""

    line: int
    reason: str
    raw: str


@dataclass(frozen=True)
class Preview:
    """What a file looks like: its layout, columns, proposed roles and first rows."""

    layout: Layout
    columns: tuple[str, ...]
    guess: Columns
    rows: tuple[tuple[str, ...], ...]
    rejected: tuple[Rejected, ...]
    warnings: tuple[str, ...]
    recognised: Columns | None = None
    """The roles of the columns, where the file was recognised to come from another tool."""

    @property
    def proposed(self) -> Columns:
        """Which column an import takes as what, unless told otherwise."""
        return self.recognised or self.guess
