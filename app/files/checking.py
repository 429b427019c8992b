"""Reading a fine-tuning file as the service that is to take it would: what it refuses or charges for."""

from collections import Counter
from collections.abc import Iterable, Iterator

from app.files.exporting import ExportRow, WriteOptions
from app.files.faults import Checked, Fault, FaultKind
from app.files.labels_alike import code_faults, label_faults
from app.files.prompts import asked_of, label_text, messages_of, prompt_of, question_of, unknown_placeholders
from app.files.repeats import Repeats
from app.files.rows import JsonValue
from app.files.tally import Sized, TokenTally
from app.files.tokens import TOKENS_A_MESSAGE, TokenCounter, token_counter
from app.files.values import to_json
from app.languages import _

FEWEST_ROWS = 10
FEWEST_CLASSES = 2
FEWEST_OF_CLASS = 10
MOST_FILE_BYTES = 512 * 1024**2
MOST_TOKENS = 65_536
MOST_LISTED = 1000
"""Of each kind of fault so many are listed; all are counted."""
CHAT = "chat-jsonl"
TRAINING, VALIDATION = "training", "validation"
ROLES = frozenset({"system", "developer", "user", "assistant"})

Found = tuple[FaultKind, str, str]


class Checker:
    """Takes the rows of a file one after the other, then says what is wrong with them.

    Parameters
    ----------
    options : WriteOptions
        How the rows are written.
    format : str
        "chat-jsonl" or "completion-jsonl".
    most_tokens : int
        The longest row that the service reads whole, in tokens.
    """

    def __init__(
        self,
        options: WriteOptions,
        *,
        format: str,  # noqa: A002 - the product's word for it
        most_tokens: int = MOST_TOKENS,
        counter: TokenCounter | None = None,
    ) -> None:
        self._options, self._format, self._most_tokens = options, format, most_tokens
        self._counter = counter or token_counter()
        self._tally = TokenTally(self._counter, most=most_tokens)
        self._lines = {TRAINING: 0, VALIDATION: 0}
        self._classes: Counter[str] = Counter()
        self._used: dict[str, None] = {}
        self._counts: Counter[FaultKind] = Counter()
        self._faults: list[Fault] = []
        self._repeats = Repeats()

    def watch(self, rows: Iterable[ExportRow], *, file: str = TRAINING) -> Iterator[ExportRow]:
        """Give the rows of a file on, and look at each."""
        for row in rows:
            self.add(row, file=file)
            yield row

    def add(self, row: ExportRow, *, file: str = TRAINING) -> None:
        """Look at the next row of a file."""
        self._lines[file] += 1
        line = self._lines[file]
        contents, found = self._contents(row)
        for kind, what, advice in found:
            self._note(Fault(kind, what, advice, line, row.id, file))
        overhead = TOKENS_A_MESSAGE * (len(contents) + 1) if self._format == CHAT else 0
        self._tally.add(Sized(file, line, row.id, contents, overhead, is_training=file == TRAINING))
        if file == TRAINING:
            label = label_text(row, self._options)
            self._classes[label] += 1
            self._used.setdefault(row.label or "")
            self._repeats.add(asked_of(row, self._options), row.label or "", row.id)

    def add_test_row(self, row: ExportRow) -> None:
        """Remember a row of the test split, which the training rows should not have."""
        self._repeats.add_test(asked_of(row, self._options))

    def finish(self, *, bytes_: int = 0) -> Checked:
        """Say what was found; `bytes_` is the size of the training file, where it is written."""
        tokens, is_estimate = self._tally.total()
        for sized, count in self._tally.too_long:
            self._note(self._too_long(sized, count))
        for fault in (*self._of_file(bytes_), *self._repeats.faults()):
            self._note(fault)
        return Checked(
            rows=self._lines[TRAINING],
            validation_rows=self._lines[VALIDATION],
            classes=dict(sorted(self._classes.items())),
            tokens=tokens,
            longest_tokens=self._tally.longest,
            tokenizer=self._counter.name,
            is_bound=self._counter.is_bound,
            is_estimate=is_estimate,
            counts=dict(self._counts),
            faults=tuple(sorted(self._faults, key=_weight)),
        )

    def _note(self, fault: Fault) -> None:
        self._counts[fault.kind] += 1
        if self._counts[fault.kind] <= MOST_LISTED:
            self._faults.append(fault)

    def _contents(self, row: ExportRow) -> tuple[tuple[str, ...], list[Found]]:
        """Give the texts that are paid for, and what is wrong with them."""
        found: list[Found] = []
        if self._format == CHAT:
            messages = messages_of(row, self._options)
            found.extend(_turn_faults(messages))
            contents = tuple(str(one.get("content") or "") for one in messages)
        else:
            contents = prompt_of(row, self._options)
            found.extend(_prompt_faults(row, self._options))
        is_asked = bool(row.context) or bool(row.text.strip())
        if not is_asked and all(kind is not FaultKind.EMPTY_TEXT for kind, _, _ in found):
            found.append(
                (FaultKind.EMPTY_TEXT, _("The text is empty."), _("Exclude the row or correct its text."))
            )
        if not all(map(_is_unicode, contents)):
            found.append(
                (
                    FaultKind.NOT_UNICODE,
                    _("The text holds half of a surrogate pair."),
                    _("Exclude the row, or mend the text and import it again."),
                )
            )
        return contents, found

    def _too_long(self, sized: Sized, tokens: int) -> Fault:
        least = _("at most") if self._counter.is_bound else _("about")
        return Fault(
            FaultKind.TOO_LONG,
            _(
                "The row has %(least)s %(tokens)s tokens; %(most_tokens)s are read.",
                least=least,
                tokens=f"{tokens:,}",
                most_tokens=f"{self._most_tokens:,}",
            ),
            _("Shorten the text or exclude the row: what is cut off at the end is the label."),
            sized.line,
            sized.row,
            sized.file,
        )

    def _of_file(self, size: int) -> Iterator[Fault]:
        rows = self._lines[TRAINING]
        if rows < FEWEST_ROWS:
            what = _(
                "The training file has %(rows)s rows; services ask for at least %(fewest_rows)s.",
                rows=f"{rows:,}",
                fewest_rows=FEWEST_ROWS,
            )
            yield Fault(FaultKind.TOO_FEW_ROWS, what, _("Add rows, or validate with fewer of them."))
        if len(self._classes) < FEWEST_CLASSES:
            what = _("Classes in the training file: %(classes)s.", classes=len(self._classes))
            yield Fault(FaultKind.TOO_FEW_CLASSES, what, _("A model learns to tell apart at least two."))
        if size > MOST_FILE_BYTES:
            what = _(
                "The training file has %(size)s bytes; services take at most %(most_file_bytes)s.",
                size=f"{size:,}",
                most_file_bytes=f"{MOST_FILE_BYTES:,}",
            )
            yield Fault(FaultKind.FILE_TOO_LARGE, what, _("Send fewer rows."))
        for label, count in sorted(self._classes.items()):
            if count < FEWEST_OF_CLASS:
                what = _("Rows with the label %(what)s: %(count)s.", what=to_json(label), count=f"{count:,}")
                yield Fault(
                    FaultKind.FEW_OF_CLASS, what, _("Add rows of it, or merge it with another label.")
                )
        yield from code_faults(self._options.label_codes, list(self._used))
        yield from label_faults(list(self._classes))
        for name in unknown_placeholders(self._options):
            what = _("The template names {%(name)s}, and the dataset has no such column.", name=name)
            yield Fault(FaultKind.UNKNOWN_PLACEHOLDER, what, _("It is sent as it stands there: correct it."))


def _turn_faults(messages: list[dict[str, JsonValue]]) -> Iterator[Found]:
    """Say what is wrong with the messages of a row; the last one is the label."""
    asked = [one for one in messages[:-1] if one.get("role") == "user"]
    if not any(str(one.get("content") or "").strip() for one in asked):
        yield (
            FaultKind.EMPTY_TEXT,
            _("The user's message is empty."),
            _("Exclude the row or correct its text."),
        )
    if not str(messages[-1]["content"]).strip():
        yield (
            FaultKind.EMPTY_LABEL,
            _("The assistant's message is empty."),
            _("Give the label a name or a code."),
        )
    for number, one in enumerate(messages, start=1):
        if one.get("role") not in ROLES:
            what = _(
                "Message %(number)s has the role %(what)s.",
                number=number,
                what=to_json(one.get("role"))[:50],
            )
            yield FaultKind.BROKEN_TURNS, what, _("Roles are %(roles)s.", roles=", ".join(sorted(ROLES)))
        elif not isinstance(one.get("content"), str):
            yield (
                FaultKind.BROKEN_TURNS,
                _("Message %(number)s has no text.", number=number),
                _("Import the row again with its text."),
            )
        elif one.get("weight", 1) not in (0, 1):
            yield (
                FaultKind.BROKEN_TURNS,
                _("Message %(number)s has a weight that is neither 0 nor 1.", number=number),
                _("Correct it."),
            )


def _prompt_faults(row: ExportRow, options: WriteOptions) -> Iterator[Found]:
    question = question_of(row, options)
    if not question.strip():
        yield FaultKind.EMPTY_TEXT, _("The prompt is empty."), _("Exclude the row or correct its text.")
    if not label_text(row, options).strip():
        yield FaultKind.EMPTY_LABEL, _("The completion is empty."), _("Give the label a name or a code.")
    if options.separator and options.separator in question:
        what = _("The text holds the separator that is to end the prompt.")
        yield FaultKind.SEPARATOR_IN_TEXT, what, _("Choose another separator.")


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _weight(fault: Fault) -> tuple[bool, str, str, int]:
    return (not fault.is_blocking, fault.kind.value, fault.file, fault.line)
