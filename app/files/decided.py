"""Decisions that a file brings along: words of other tools as the states of a row."""

from collections.abc import Mapping

from app.files.rows import Columns, JsonValue
from app.files.values import to_text
from app.languages import _

DECIDED = "decided_elsewhere"
"""Where a row's metadata keeps what its file says was decided, until that is taken over."""
OPEN, KEPT, ACCEPTED, OVERRIDDEN = "open", "kept", "accepted", "overridden"
EXCLUDED, NEEDS_REVIEW, AUTO_FIXED = "excluded", "needs_review", "auto_fixed"
STATES = (OPEN, KEPT, ACCEPTED, OVERRIDDEN, EXCLUDED, NEEDS_REVIEW, AUTO_FIXED)
NEEDS_LABEL = frozenset({ACCEPTED, OVERRIDDEN, AUTO_FIXED})
BY_MODEL = frozenset({ACCEPTED, AUTO_FIXED})
NO_LABEL = frozenset({"none", "nan", "null"})
"""What tools write where nobody has corrected a label."""
MAX_CHARS = 200

_WORDS = {
    OPEN: "open unresolved none null nan pending todo undecided draft",
    KEPT: "kept keep keepgiven keeporiginal keeplabel ignore dismissed correct",
    ACCEPTED: "accepted accept acceptsuggestion suggested usesuggested applysuggestion",
    OVERRIDDEN: "overridden override label labeled relabel relabeled corrected changed custom fix fixed",
    EXCLUDED: "excluded exclude drop dropped delete deleted remove removed discarded",
    NEEDS_REVIEW: "needsreview review flag flagged later unsure skip skipped",
    AUTO_FIXED: "autofixed autofix autocorrect autocorrected autolabel autolabeled",
}
_STATE_OF = {word: state for state, words in _WORDS.items() for word in words.split()}


def state_of(word: str | None) -> str | None:
    """Give the state that a word stands for, "open" for no word, None for an unknown one."""
    plain = "".join(char for char in (word or "").casefold() if char.isalnum())
    return _STATE_OF.get(plain) if plain else OPEN


def has_decisions(columns: Columns) -> bool:
    """Say whether rows with these columns may bring decisions."""
    return columns.corrected_label is not None or columns.decision is not None


def decision_of(
    values: Mapping[str, JsonValue], columns: Columns, *, given: str | None
) -> dict[str, JsonValue] | str | None:
    """Give what a record says was decided: state, label, who and when; or why that cannot be told.

    None says that nobody has decided about the row.
    """
    corrected = _cell(values, columns.corrected_label)
    if corrected is not None and corrected.strip().casefold() in NO_LABEL and corrected != given:
        corrected = None
    word = _cell(values, columns.decision)
    state = state_of(word)
    if state is None and corrected is None:
        return _(
            "the decision %(word)r is none of %(states)s", word=(word or "")[:50], states=", ".join(STATES)
        )
    state = _settled(state, given=given, corrected=corrected, is_told=columns.decision is not None)
    label = given if state == KEPT else corrected or given
    if state == OPEN or (label is None and state in {*NEEDS_LABEL, KEPT}):
        return None
    if label is not None and len(label) > MAX_CHARS:
        return _(
            "corrected label of %(label)s characters; the limit is %(max_chars)s",
            label=f"{len(label):,}",
            max_chars=MAX_CHARS,
        )
    return {
        "state": state,
        "label": label,
        "by": (_cell(values, columns.decided_by) or "")[:MAX_CHARS],
        "at": (_cell(values, columns.decided_at) or "")[:MAX_CHARS],
    }


def _settled(state: str | None, *, given: str | None, corrected: str | None, is_told: bool) -> str:
    """Give the state that goes with the labels."""
    if state is None or (state == OPEN and not is_told):
        return OVERRIDDEN if corrected is not None and corrected != given else OPEN
    if state in NEEDS_LABEL and corrected is None:
        return OPEN  # what it was changed to is not in the file
    if state in BY_MODEL and corrected == given:
        return OPEN  # a file of the given labels: the change is not in it
    if state == KEPT and given is None:
        return OVERRIDDEN if corrected is not None else OPEN
    return state


def _cell(values: Mapping[str, JsonValue], column: str | None) -> str | None:
    text = to_text(values.get(column)) if column is not None else None
    return text if text and text.strip() else None
