"""One sentence for each kind of issue of a row."""

from collections.abc import Sequence

from app.models.columns import Split
from app.models.evidence import IssueKind
from app.science.broken_texts import Broken, why_broken

SHOWN_LABELS = 3
ONE_IN_A_MILLION = 1e-6

_BROKEN = {
    Broken.BLANK: "There is nothing to read.",
    Broken.NO_WORDS: "The text has no word, only punctuation.",
    Broken.ADDRESS: "The text is nothing but a web address.",
    Broken.CONTROL: "The text has control characters, which nobody sees or types.",
    Broken.MOJIBAKE: "The text has garbled characters: it was once read in the wrong encoding.",
}


def explain(
    kind: IssueKind,
    *,
    text: str,
    split: Split,
    score: float,
    related_count: int,
    other_labels: Sequence[str],
    long_chars: float,
) -> str:
    """Say what is the matter with a row."""
    match kind:
        case IssueKind.CONFLICT:
            return f"The same text has other labels too: {_listed(other_labels)}."
        case IssueKind.NEAR_DUPLICATE:
            return f"{_rows(related_count)} of this split {_say_the_same(related_count, score)}."
        case IssueKind.OUTLIER:
            return (
                f"Unlike the rest: only {_share(score)} of usual rows are this far from their nearest ones."
            )
        case IssueKind.AMBIGUOUS:
            return "The model wavers between the two most probable labels: both may be defended."
        case IssueKind.LEAK:
            other = Split.TEST if split is Split.TRAIN else Split.TRAIN
            return f"{_rows(related_count)} of the {other.value} split {_say_the_same(related_count, score)}."
        case IssueKind.BROKEN:
            found = why_broken(text, long_chars=long_chars)
            is_known = found is not None and found[0] in _BROKEN
            return _BROKEN[found[0]] if found and is_known else _long(text, long_chars)


def _long(text: str, long_chars: float) -> str:
    if len(text) <= long_chars:  # an import changed the text since the run
        return "The text was unusable when it was scored."
    return f"The text has {len(text):,} characters: more than {long_chars:,.0f} is far more than usual here."


def _rows(count: int) -> str:
    return "One row" if count == 1 else f"{count:,} rows"


def _say_the_same(count: int, score: float) -> str:
    verb = "says" if count == 1 else "say"
    return f"{verb} the same" if score == 0 else f"{verb} nearly the same (similarity {1 - score:.2f})"


def _share(score: float) -> str:
    return "one in a million" if score < ONE_IN_A_MILLION else f"one in {round(1 / score):,}"


def _listed(labels: Sequence[str]) -> str:
    shown = list(labels[:SHOWN_LABELS])
    more = len(labels) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "") if shown else "see the rows below"
