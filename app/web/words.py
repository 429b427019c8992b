"""How numbers, times and states are written on a page."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from app.db import now
from app.languages import ENGLISH, N_, _, chosen, n_, pgettext
from app.languages.retelling import retold
from app.models.columns import RunState
from app.models.evidence import IssueKind, kinds_of
from app.models.examples import ExampleState
from app.models.review import Batch, BatchKind
from app.services.ranking.search_words import marked

STATES = {
    ExampleState.KEPT: N_("kept"),
    ExampleState.ACCEPTED: N_("accepted"),
    ExampleState.OVERRIDDEN: N_("relabelled"),
    ExampleState.EXCLUDED: N_("excluded"),
    ExampleState.NEEDS_REVIEW: N_("needs review"),
    ExampleState.AUTO_FIXED: N_("auto-fixed"),
}
RUN_STATES = {
    RunState.DRAFT: N_("to be confirmed"),
    RunState.QUEUED: N_("waiting"),
    RunState.RUNNING: N_("running"),
    RunState.DONE: N_("done"),
    RunState.FAILED: N_("failed"),
    RunState.CANCELLED: N_("cancelled"),
}
KINDS = {
    IssueKind.CONFLICT: N_("conflict"),
    IssueKind.NEAR_DUPLICATE: N_("near duplicate"),
    IssueKind.OUTLIER: N_("outlier"),
    IssueKind.AMBIGUOUS: N_("ambiguous"),
    IssueKind.LEAK: N_("leak"),
    IssueKind.BROKEN: N_("broken"),
}
KIND_MEANINGS = {
    IssueKind.CONFLICT: N_("the same text has different labels"),
    IssueKind.NEAR_DUPLICATE: N_("the split has the same or nearly the same text again"),
    IssueKind.OUTLIER: N_("unlike all other rows"),
    IssueKind.AMBIGUOUS: N_("the model wavers between two labels"),
    IssueKind.LEAK: N_("the text stands in train and in test"),
    IssueKind.BROKEN: N_("empty, garbled or far too long"),
}
PHASES = {
    "embed": N_("Reading the texts"),
    "predict": N_("Predicting rows from the others"),
    "issues": N_("Finding label issues"),
    "save": N_("Saving the scores"),
    "asked_to_wait": N_("The provider asks to wait"),
    "validating_files": N_("The provider looks at the file"),
    "asking": N_("Asking for the test rows"),
    "neighbours": N_("Finding similar rows"),
    "save_evidence": N_("Saving the evidence"),
    "drawing": N_("Drawing rows"),
    "applying": N_("Changing rows"),
    "undoing": N_("Putting rows back"),
    "scoring": N_("Adding up the scores"),
    "assigning": N_("Assigning rows"),
    "filling": N_("Filling the new columns"),
    "taking_back": N_("Taking rows back"),
    "train": N_("Training models"),
}
SCORING_STEPS = {
    "embed": N_("Read the texts"),
    "predict": N_("Predict each row from the others"),
    "issues": N_("Find label issues"),
    "save": N_("Save the scores"),
    "neighbours": N_("Find similar rows"),
    "save_evidence": N_("Save the evidence"),
}
EMBEDDERS = {"use": N_("multilingual sentence encoder"), "tfidf": N_("words and their weights")}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_NEARLY_NOW = 10
_KIB = 1024
_EXCERPT_CHARS = 160
_SEARCHED_CHARS = 10_000
_NARROW_SPACE = "\u202f"


def agreement_figure(value: float | None) -> str:
    """Write a kappa or an alpha; a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def number(value: float) -> str:
    """Group digits by threes: 12 345."""
    return f"{value:,}".replace(",", _NARROW_SPACE)


def percent(value: float | None, digits: int = 0) -> str:
    """Write a share as a percentage; a dash where there is none."""
    if value is None:
        return "–"
    shown = f"{value * 100:.{digits}f}"
    return f"{shown}%"


def confidence(value: float | None) -> str:
    """Write a probability with three digits; a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def size(count: int) -> str:
    """Write a number of bytes in the largest unit that keeps it above one."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < _KIB:
            return (
                f"{amount:.0f}{_NARROW_SPACE}{unit}"
                if unit == "bytes"
                else f"{amount:.1f}{_NARROW_SPACE}{unit}"
            )
        amount /= _KIB
    return f"{amount:.1f}{_NARROW_SPACE}GiB"


def duration(seconds: float) -> str:
    """Write a length of time to the precision that a waiting person needs."""
    if seconds < _MINUTE:
        return f"{max(1, round(seconds))}{_NARROW_SPACE}s"
    if seconds < _HOUR:
        return f"{round(seconds / _MINUTE)}{_NARROW_SPACE}min"
    hours, rest = divmod(seconds, _HOUR)
    return f"{int(hours)}{_NARROW_SPACE}h {int(rest / _MINUTE)}{_NARROW_SPACE}min"


def ago(moment: dt.datetime) -> str:
    """Say how long ago something was."""
    seconds = (now() - moment).total_seconds()
    if seconds < _NEARLY_NOW:
        return _("just now")
    if seconds < _DAY:
        return _("%(duration)s ago", duration=duration(seconds))
    days = int(seconds / _DAY)
    return n_("yesterday", "%(n)s days ago", days)


def excerpt(text: str, search: str) -> list[tuple[str, bool]]:
    """Return the beginning of a text for one line, from where a search has found something; see `marked`."""
    shown = text[: 4 * _EXCERPT_CHARS] if not search else text[:_SEARCHED_CHARS]
    parts = marked(shown, search)
    before = parts[0][0] if len(parts) > 1 and not parts[0][1] else ""
    if len(before) > _EXCERPT_CHARS // 2:
        parts[0] = (f"…{before[-_EXCERPT_CHARS // 4 :]}", False)
    left, line = _EXCERPT_CHARS, []
    for part, is_found in parts:
        line.append((part[:left], is_found))
        left -= len(part)
        if left <= 0:
            break
    return line


def moment(value: dt.datetime) -> str:
    """Write a point in time in full."""
    return value.strftime("%Y-%m-%d %H:%M:%S UTC")


def epoch(seconds: int) -> str:
    """Write a point in time that a service gave in seconds since 1970."""
    return moment(dt.datetime.fromtimestamp(seconds, dt.UTC))


def day(value: dt.datetime) -> str:
    """Write a point in time as its day."""
    # Python's names of months are English.
    return f"{value:%d %b %Y}" if chosen() == ENGLISH else f"{value:%Y-%m-%d}"


def hour(value: dt.datetime) -> str:
    """Write a point in time as its day and hour."""
    return f"{value:%d %b %H:00}" if chosen() == ENGLISH else f"{value:%m-%d %H:00}"


def plural(count: int, one: str, many: str = "") -> str:
    """Write a count with its noun: 1 row, 2 rows."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def state_name(state: ExampleState) -> str:
    """Write what was decided about a row."""
    return pgettext("state", "open") if state is ExampleState.OPEN else _(STATES[state])


def kind_name(kind: IssueKind) -> str:
    """Write what kind of issue a row has."""
    return _(KINDS[kind])


def kind_meaning(kind: IssueKind) -> str:
    """Write what a kind of issue means."""
    return _(KIND_MEANINGS[kind])


def run_state(state: RunState) -> str:
    """Write where a job stands."""
    return _(RUN_STATES[state])


def embedder_name(name: str) -> str:
    """Write what turned texts into vectors."""
    return f"{_(EMBEDDERS[name])} ({name})" if name in EMBEDDERS else name


def phase_name(phase: str) -> str:
    """Write what a job is at."""
    return _(PHASES[phase]) if phase in PHASES else phase.replace("_", " ").capitalize()


@dataclass(frozen=True)
class Step:
    """One step of a job, and whether it is done, going on now, or to come."""

    name: str
    place: str


def scoring_steps(phase: str) -> list[Step]:
    """Return the steps of a scoring run by where it stands; in one that is not listed, the first goes on."""
    names = list(SCORING_STEPS)
    at = names.index(phase) if phase in names else 0 if phase else -1
    places = ["done" if place < at else "now" if place == at else "next" for place in range(len(names))]
    return [Step(_(name), place) for name, place in zip(SCORING_STEPS.values(), places, strict=True)]


BATCH_KINDS = {
    BatchKind.AUTO_FIX: "Auto-fix",
    BatchKind.MERGE: N_("Merge"),
    BatchKind.SPLIT: "Split",
    BatchKind.RESTORE: N_("Restore"),
    BatchKind.ADOPT: N_("Take over"),
}


def batch_title(batch: Batch) -> str:
    """Name a batch by what it does."""
    is_split = batch.kind is BatchKind.SPLIT  # the verb; elsewhere it is train or test
    return f"{pgettext('verb', 'Split') if is_split else _(BATCH_KINDS[batch.kind])} {batch.id}"


def batch_rule(batch: Batch) -> str:
    """Say in a few words what a batch was to do."""
    rule = batch.rule
    match batch.kind:
        case BatchKind.MERGE:
            return _("%(label)s into %(into)s", label=rule["label"], into=rule["into"])
        case BatchKind.SPLIT:
            return _("rows of %(label)s to %(into)s", label=rule["label"] or _("no label"), into=rule["into"])
        case BatchKind.RESTORE:
            return _("back to %(version)s", version=rule["version"])
        case BatchKind.ADOPT:
            return _(
                "decisions of %(file)s, made in %(origin)s",
                file=rule["file"],
                origin=rule["origin"] or "another tool",
            )
        case BatchKind.AUTO_FIX:
            return _autofix_rule(rule)


def _autofix_rule(rule: dict[str, Any]) -> str:
    value = rule.get("value") or 0
    said = {
        "recommended": _("recommended rows"),
        "min_confidence": _("suggestions of at least %(value)s", value=value),
        "top": _("the %(value)s worst rows", value=int(value)),
        "all": _("every flagged row"),
    }
    return said.get(rule.get("kind", "recommended"), _("rows by a rule"))


FILTERS = {
    "batch_title": batch_title,
    "batch_rule": batch_rule,
    "phase_name": phase_name,
    "agreement_figure": agreement_figure,
    "embedder_name": embedder_name,
    "number": number,
    "percent": percent,
    "confidence": confidence,
    "size": size,
    "duration": duration,
    "ago": ago,
    "moment": moment,
    "day": day,
    "excerpt": excerpt,
    "marked": marked,
    "retold": retold,
    "plural": plural,
    "epoch": epoch,
    "state_name": state_name,
    "kind_name": kind_name,
    "kind_meaning": kind_meaning,
    "kinds_of": kinds_of,
    "run_state": run_state,
    "scoring_steps": scoring_steps,
}
"""What templates may call on a value."""
