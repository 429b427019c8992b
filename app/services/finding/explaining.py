"""One sentence for each kind of issue of a row."""

from collections.abc import Sequence

from app.languages import N_, _, n_
from app.models.columns import Split
from app.models.evidence import IssueKind
from app.science.broken_texts import Broken, why_broken

SHOWN_LABELS = 3
ONE_IN_A_MILLION = 1e-6

_BROKEN = {
    Broken.BLANK: N_("There is nothing to read."),
    Broken.NO_WORDS: N_("The text has no word, only punctuation."),
    Broken.ADDRESS: N_("The text is nothing but a web address."),
    Broken.CONTROL: N_("The text has control characters, which nobody sees or types."),
    Broken.MOJIBAKE: N_("The text has garbled characters: it was once read in the wrong encoding."),
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
            return _("The same text has other labels too: %(listed)s.", listed=_listed(other_labels))
        case IssueKind.NEAR_DUPLICATE:
            return _same_here(related_count, score)
        case IssueKind.OUTLIER:
            return _(
                "Unlike the rest: only %(share)s of usual rows are this far from their nearest ones.",
                share=_share(score),
            )
        case IssueKind.AMBIGUOUS:
            return _("The model wavers between the two most probable labels: both may be defended.")
        case IssueKind.LEAK:
            other = Split.TEST if split is Split.TRAIN else Split.TRAIN
            return _same_there(related_count, score, other.value)
        case IssueKind.BROKEN:
            found = why_broken(text, long_chars=long_chars)
            is_known = found is not None and found[0] in _BROKEN
            return _(_BROKEN[found[0]]) if found and is_known else _long(text, long_chars)


def _long(text: str, long_chars: float) -> str:
    if len(text) <= long_chars:  # an import changed the text since the run
        return _("The text was unusable when it was scored.")
    return _(
        "The text has %(text)s characters: more than %(long_chars)s is far more than usual here.",
        text=f"{len(text):,}",
        long_chars=f"{long_chars:,.0f}",
    )


def _same_here(count: int, score: float) -> str:
    figures = _figures(count, score)
    if score == 0:
        return n_(
            "One row of this split says the same.",
            "%(rows)s rows of this split say the same.",
            count,
            **figures,
        )
    return n_(
        "One row of this split says nearly the same (similarity %(alike)s).",
        "%(rows)s rows of this split say nearly the same (similarity %(alike)s).",
        count,
        **figures,
    )


def _same_there(count: int, score: float, other: str) -> str:
    figures = _figures(count, score) | {"split": other}
    if score == 0:
        return n_(
            "One row of the %(split)s split says the same.",
            "%(rows)s rows of the %(split)s split say the same.",
            count,
            **figures,
        )
    return n_(
        "One row of the %(split)s split says nearly the same (similarity %(alike)s).",
        "%(rows)s rows of the %(split)s split say nearly the same (similarity %(alike)s).",
        count,
        **figures,
    )


def _figures(count: int, score: float) -> dict[str, str]:
    return {"rows": f"{count:,}", "alike": f"{1 - score:.2f}"}


def _share(score: float) -> str:
    return _("one in a million") if score < ONE_IN_A_MILLION else _("one in %(n)s", n=f"{round(1 / score):,}")


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:SHOWN_LABELS])
    more = len(labels) - SHOWN_LABELS
    if not shown:
        return _("see the rows below")
    return _("%(labels)s and %(more)s more", labels=shown, more=more) if more > 0 else shown
