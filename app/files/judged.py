"""What annotation tools say of one text: a label that was given, one that people chose, who and when."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.files.decided import EXCLUDED, KEPT, NEEDS_LABEL, NEEDS_REVIEW, OPEN, OVERRIDDEN, state_of
from app.files.rows import Columns, JsonValue
from app.files.values import to_text

JUDGED_COLUMNS = ("id", "label", "corrected_label", "decision", "decided_by", "decided_at")
HINTS = ("given_label", "state", "label")


@dataclass(frozen=True)
class Answer:
    """What one person said: a label, or that the row is to be passed over."""

    label: str | None
    by: str = ""
    at: str = ""
    is_skipped: bool = False
    is_truth: bool = False


def judged(
    hints: dict[str, JsonValue], *, predicted: str | None, answers: Sequence[Answer]
) -> dict[str, JsonValue]:
    """Give the judged columns of a row.

    `hints` are what an export of ours has put beside the text: given label, state, and the label it had. The
    label that people chose counts more than any of them. Without a prediction or a hint it is the given one.
    """
    is_ours = "given_label" in hints
    given = (to_text(hints["given_label"]) if is_ours else predicted) or None
    told = state_of(to_text(hints.get("state")))
    chosen = _chosen([one for one in answers if one.label and not one.is_skipped])
    if chosen is None:
        skipped = next((one for one in answers if one.is_skipped), None)
        state = told if told in {EXCLUDED, NEEDS_REVIEW} else NEEDS_REVIEW if skipped else OPEN
        return _columns(given, None, state or OPEN, skipped)
    if given is None and not is_ours:
        return _columns(chosen.label, None, OPEN, None)
    state = KEPT if chosen.label == given else OVERRIDDEN
    if told in NEEDS_LABEL and chosen.label == to_text(hints.get("label")):
        state = told or state
    return _columns(given, chosen.label, state, chosen)


def _chosen(answers: Sequence[Answer]) -> Answer | None:
    """Give the answer that counts: the one marked as the truth, else the majority's first."""
    truth = next((one for one in answers if one.is_truth), None)
    if truth is not None or not answers:
        return truth
    votes = Counter(one.label for one in answers)
    most = max(votes.values())
    return next(one for one in answers if votes[one.label] == most)


def _columns(
    given: str | None, chosen: str | None, state: str, answer: Answer | None
) -> dict[str, JsonValue]:
    return {
        "label": given,
        "corrected_label": chosen,
        "decision": state,
        "decided_by": answer.by if answer else "",
        "decided_at": answer.at if answer else "",
    }


def judged_roles(guess: Columns, names: Sequence[str]) -> Columns:
    """Give the columns of a judged file; `guess` is what was guessed from the other columns."""
    taken = {*JUDGED_COLUMNS, guess.text, "split"}
    return Columns(
        text=guess.text,
        label="label",
        id="id",
        split="split" if "split" in names else None,
        metadata=tuple(name for name in names if name not in taken),
        corrected_label="corrected_label",
        decision="decision",
        decided_by="decided_by",
        decided_at="decided_at",
    )
