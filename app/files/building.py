"""From records to rows: which column is what, and what makes a record unusable."""

from collections.abc import Callable, Iterator

from app.errors import InvalidInput, TooLarge
from app.files.decided import DECIDED, decision_of, has_decisions
from app.files.rows import RAW_CHARS, SINGLE_ROLES, Columns, JsonValue, Limits, Record, Rejected, Row
from app.files.values import to_json, to_text
from app.languages import _

MAX_LABEL_CHARS = 200
SHOWN_COLUMNS = 20
SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
CONTEXT = "context"  # where the chat reader puts the earlier turns; no column of its own


def build_rows(
    records: Iterator[Record | Rejected],
    columns: Columns,
    *,
    limits: Limits,
    allow_unlabelled: bool,
    same_columns: bool,
    with_context: bool,
) -> Iterator[Row | Rejected]:
    """Turn records into rows; `same_columns` says that every record has all columns of the file."""
    if columns.text is None:
        raise InvalidInput(_("Say which column holds the text."))
    if columns.label is None and not allow_unlabelled:
        raise InvalidInput(_("Say which column holds the label."))
    decides = has_decisions(columns)
    make = _row_maker(
        columns, limits, allow_unlabelled=allow_unlabelled or decides, with_context=with_context
    )
    if decides:
        make = _deciding(make, columns, allow_unlabelled=allow_unlabelled)
    unchecked = same_columns
    for record in records:
        if isinstance(record, Rejected):
            yield record
            continue
        if unchecked:
            check_columns(columns, tuple(record.values))
            unchecked = False
        yield make(record)


def check_columns(columns: Columns, present: tuple[str, ...]) -> None:
    """Refuse a column that the file does not have, or that is to be two things at once."""
    _check_roles(columns)
    wanted = (*(getattr(columns, role) for role in SINGLE_ROLES), *columns.metadata)
    for column in wanted:
        if column is not None and column not in present:
            shown = ", ".join(present[:SHOWN_COLUMNS]) + (" …" if len(present) > SHOWN_COLUMNS else "")
            raise InvalidInput(
                _('There is no column "%(column)s"; the columns are %(shown)s.', column=column, shown=shown)
            )
    for column in columns.filterable:
        if column not in columns.metadata:
            raise InvalidInput(
                _(
                    'Rows can be filtered by metadata alone, and the column "%(column)s" is none.',
                    column=column,
                )
            )


def _check_roles(columns: Columns) -> None:
    """Refuse a column that is to be two things at once."""
    roles: dict[str, str] = {}
    named = [(role.replace("_", " "), getattr(columns, role)) for role in SINGLE_ROLES]
    for role, column in (*named, *(("metadata", column) for column in columns.metadata)):
        if column is not None and column in roles:
            raise InvalidInput(
                _(
                    'The column "%(column)s" cannot be both %(roles)s and %(role)s.',
                    column=column,
                    roles=roles[column],
                    role=role,
                )
            )
        roles[column] = role


def too_many_labels(name: str, column: str | None, *, limit: int) -> TooLarge:
    """Say that a file has more labels than a dataset may have."""
    return TooLarge(
        _(
            "%(name)s has more than %(limit)s different labels; is %(column)r the label column? "
            "(SETRIGHT_MAX_CLASSES)",
            name=name,
            limit=limit,
            column=column,
        )
    )


def _row_maker(
    columns: Columns, limits: Limits, *, allow_unlabelled: bool, with_context: bool
) -> Callable[[Record], Row | Rejected]:
    """Bind what is the same for every record once; this is the hot path of an import."""
    text_column, label_column = columns.text or "", columns.label
    id_column, split_column, annotator_column = columns.id, columns.split, columns.annotator
    metadata_columns, max_chars = columns.metadata, limits.max_text_chars

    def make(record: Record) -> Row | Rejected:
        values = record.values
        text = _text(values.get(text_column))
        if text is None or not text.strip():
            return _rejected(record, _("no text"))
        if len(text) > max_chars:
            limit = _("the limit is %(max_chars)s (SETRIGHT_MAX_TEXT_CHARS)", max_chars=f"{max_chars:,}")
            return _rejected(
                record, _("text of %(text)s characters; %(limit)s", text=f"{len(text):,}", limit=limit)
            )
        label = _text(values.get(label_column)) if label_column else None
        if label is None or not label.strip():
            if not allow_unlabelled:
                return _rejected(record, _("no label"))
            label = None
        elif len(label) > MAX_LABEL_CHARS:
            limit = _("the limit is %(max_label_chars)s", max_label_chars=MAX_LABEL_CHARS)
            return _rejected(
                record, _("label of %(label)s characters; %(limit)s", label=f"{len(label):,}", limit=limit)
            )
        split = _text(values.get(split_column)) if split_column else None
        if split is not None and not split.strip():
            split = None
        elif split is not None:
            found = SPLITS.get(split.strip().lower())
            if found is None:
                return _rejected(record, _("split '%(split)s' is neither train nor test", split=split[:100]))
            split = found
        context = values.get(CONTEXT) if with_context else None
        return Row(
            record.line,
            text,
            label,
            _name(values.get(id_column)) if id_column else None,
            split,
            _name(values.get(annotator_column)) if annotator_column else None,
            {column: values.get(column) for column in metadata_columns} if metadata_columns else {},
            context if isinstance(context, dict) else None,
        )

    return make


def _deciding(
    make: Callable[[Record], Row | Rejected], columns: Columns, *, allow_unlabelled: bool
) -> Callable[[Record], Row | Rejected]:
    """Keep beside each row what its record says was decided; a decided label is a label too."""

    def decide(record: Record) -> Row | Rejected:
        row = make(record)
        if isinstance(row, Rejected):
            return row
        decided = decision_of(record.values, columns, given=row.label)
        if isinstance(decided, str):
            return _rejected(record, decided)
        if row.label is None and not allow_unlabelled and not (decided and decided["label"]):
            return _rejected(record, _("no label"))
        if decided:
            row.metadata[DECIDED] = decided
        return row

    return decide


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else to_text(value)


def _name(value: JsonValue) -> str | None:
    """An id or a person; an empty cell is none."""
    return _text(value) or None


def _rejected(record: Record, reason: str) -> Rejected:
    shown = {
        name[:RAW_CHARS]: value[:RAW_CHARS] if isinstance(value, str) else value
        for name, value in record.values.items()
    }
    return Rejected(record.line, reason, to_json(shown)[:RAW_CHARS])
