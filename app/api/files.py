"""Files as the API speaks of them: how they are read, which column is what, what became of their rows."""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from app.api.answers import Exact, In, Out, RunOut
from app.files.rows import ENCODINGS, FORMATS, SINGLE_ROLES, Columns, Layout
from app.models.columns import Split
from app.services.datasets import MAX_NAME_CHARS

Choice = Annotated[str, Field(min_length=1, max_length=40)]
Character = Annotated[str, Field(max_length=1)]


class LayoutIn(In):
    """How the bytes of a file are read; what is not said is detected."""

    format: Annotated[Choice | None, Field(json_schema_extra={"enum": [*FORMATS, None]})] = None
    """The file's format, where its content misleads."""
    encoding: Annotated[Choice | None, Field(examples=list(ENCODINGS[:3]))] = None
    """The encoding of a text file."""
    delimiter: Character | None = None
    """Character between the cells of a csv file."""
    quotechar: Character | None = None
    """Character around quoted cells of a csv file; empty if quotes are ordinary characters."""
    sheet: Annotated[str, Field(max_length=100)] | None = None
    """Sheet of an xlsx file."""

    def layout(self, found: Layout | None = None) -> Layout:
        """Return what was said over what was found."""
        said = {name: getattr(self, name) for name in LayoutIn.model_fields}
        return replace(
            found or Layout(""), **{name: value for name, value in said.items() if value is not None}
        )


class ImportIn(LayoutIn):
    """Where the rows of a file go, and which column is what."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"dataset": "tweets", "text": "body", "label": "sentiment"}]}
    )

    dataset: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)] | None = None
    """Name of the dataset; made if there is none."""
    text: str | None = None
    """Column of the text; guessed if not said."""
    label: str | None = None
    """Column of the label; guessed if not said."""
    id: str | None = None
    """Column of the row's id; made from row numbers if not said."""
    split_column: str | None = None
    """Column that says train or test."""
    metadata: list[str] | None = None
    """Other columns to keep; all of them if not said."""
    corrected_label: str | None = None
    """Column of the label that somebody decided on elsewhere."""
    decision: str | None = None
    """Column of what was decided elsewhere: `keep`, `exclude`, a state of a row, …"""
    decisions: bool = True
    """Take over what a file of a known tool says was decided, where no column is named."""
    filterable: list[str] = []  # noqa: RUF012 — pydantic copies it
    """Those of the other columns that rows can be filtered by."""
    split: Split = Split.TRAIN
    """Split of all rows, unless a column says it."""
    update: bool = False
    """Change rows that exist, and keep what was decided about them."""
    allow_unlabelled: bool = False
    """Keep rows without a label."""

    def columns(self, guess: Columns) -> Columns:
        """Put what was said over what was guessed; ids and splits count only where they were said."""
        named = (self.text, self.label, self.id, self.split_column, self.corrected_label, self.decision)
        if guess.origin and self.decisions and not any(named) and self.metadata is None:
            return guess
        said = set(named)
        text = self.text or (guess.text if guess.text not in said else None)
        label = self.label or (guess.label if guess.label not in said else None)
        taken = {text, label, *named[2:]}
        every = (*(getattr(guess, role) for role in SINGLE_ROLES), *guess.metadata)
        rest = tuple(name for name in every if name is not None and name not in taken)
        return Columns(
            text=text,
            label=label,
            id=self.id,
            split=self.split_column,
            corrected_label=self.corrected_label,
            decision=self.decision,
            metadata=rest if self.metadata is None else tuple(self.metadata),
            filterable=tuple(self.filterable),
        )


class ImportOut(RunOut):
    """One file: how it is read, how far it is, and what became of its rows."""

    dataset_name: Exact
    """The dataset's name, or the one proposed; empty where the file's name does not say what its rows are."""
    creates_dataset: bool
    """Whether the dataset is new."""
    file_name: Exact
    """The file's name, as it was sent."""
    bytes: int
    """The file's size."""
    sha256: str
    """SHA-256 of the file, in hex."""
    layout: Any
    """How the file is read: format, encoding, delimiter, quotechar, sheet."""
    columns: Any
    """Which column is text, label, id, split and metadata."""
    split: Split
    """Split of all rows, unless a column says it."""
    update: bool
    """Whether rows that exist are changed."""
    allow_unlabelled: bool
    """Whether rows without a label are kept."""
    rows_read: int
    """Rows in the file."""
    rows_new: int
    """Rows that were not there before."""
    rows_changed: int
    """Rows whose text, label or metadata changed."""
    rows_same: int
    """Rows that were there as they are."""
    rows_missing: int
    """Rows of the dataset that an update does not mention."""
    rows_rejected: int
    """Rows that could not be used."""


class RejectedOut(Out):
    """A row that could not be used."""

    line: int
    """Where it starts in the file, from 1."""
    reason: Exact
    """Why."""
    raw: Exact
    """The beginning of what stood there."""


class LayoutOut(Out):
    """How the bytes of a file are read."""

    format: str
    """The format."""
    encoding: str | None
    """The encoding."""
    delimiter: str | None
    """Character between the cells."""
    quotechar: str | None
    """Character around quoted cells."""
    sheet: Exact | None
    """Sheet of an xlsx file."""


class ColumnsOut(Out):
    """Which column is what."""

    text: Exact | None
    """Column of the text."""
    label: Exact | None
    """Column of the label."""
    id: Exact | None
    """Column of the row's id."""
    split: Exact | None
    """Column that says train or test."""
    annotator: Exact | None
    """Column of who labelled."""
    corrected_label: Exact | None
    """Column of the label that somebody decided on."""
    decision: Exact | None
    """Column of what was decided."""
    origin: str | None
    """The tool that the file was recognised to come from."""
    metadata: list[Exact]
    """Other columns."""
    filterable: list[Exact]
    """Those of them that rows can be filtered by."""


class FilePreviewOut(Out):
    """What a file looks like."""

    layout: LayoutOut
    """How it is read."""
    columns: list[Exact]
    """Its columns, in order."""
    guess: ColumnsOut
    """Which column seems to be what, by names and values."""
    recognised: ColumnsOut | None
    """Which column is what, where the file comes from a known tool."""
    rows: list[list[Exact]]
    """Its first rows, one cell a column."""
    rejected: list[RejectedOut]
    """Those of its first rows that cannot be used."""
    warnings: list[Exact]
    """What to look at before confirming."""
