"""Which tool a file comes from, told by its columns, and which of them is what there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.files.decided import BY_MODEL, OPEN, state_of
from app.files.guess import guess_columns
from app.files.judged import JUDGED_COLUMNS, judged_roles
from app.files.rows import Columns, JsonValue, Layout
from app.files.values import to_text

STUDIO, SETRIGHT, LABEL_ISSUES = "Cleanlab Studio", "Setright", "cleanlab"
BY_FORMAT = {"label-studio": "Label Studio", "argilla": "Argilla", "hf-datasets": "Hugging Face datasets"}
ORIGINS = (STUDIO, SETRIGHT, LABEL_ISSUES, *BY_FORMAT.values())
PREFIX = "cleanlab_"
ISSUE_COLUMNS = frozenset({"is_label_issue", "label_quality", "given_label"})
OWN_COLUMNS = ("id", "text", "label", "given_label", "state")
CORRECTED_NAMES = ("corrected_label", "clean_label")
FEWEST_OF_STUDIO = 2

Samples = Sequence[Mapping[str, JsonValue]]


def recognise(layout: Layout, names: Sequence[str], samples: Samples) -> Columns | None:
    """Give the roles of the columns of a file that comes from a known tool; `origin` says which."""
    if layout.format in {"label-studio", "argilla"}:
        guess = guess_columns([name for name in names if name not in JUDGED_COLUMNS], samples)
        return replace(judged_roles(guess, names), origin=BY_FORMAT[layout.format])
    if (found := _of_studio(names, samples)) is not None:
        return found
    if set(names) >= set(OWN_COLUMNS):
        return _of_setright(layout, names, samples)
    if set(names) >= ISSUE_COLUMNS:
        return _of_label_issues(names, samples)
    if layout.format in BY_FORMAT:
        return replace(guess_columns(names, samples), origin=BY_FORMAT[layout.format])
    return None


def _of_studio(names: Sequence[str], samples: Samples) -> Columns | None:
    own = [name for name in names if name.startswith(PREFIX)]
    if len(own) < FEWEST_OF_STUDIO:
        return None
    plain = {name.removeprefix(PREFIX): name for name in reversed(names)}
    corrected = next((plain[name] for name in CORRECTED_NAMES if name in plain), None)
    action = plain.get("action")
    if corrected is None and action is None:
        return None
    used = {corrected, action, *own}
    guess = guess_columns([name for name in names if name not in used], samples)
    rest = tuple(name for name in own if name not in {corrected, action})
    return replace(
        guess,
        metadata=(*guess.metadata, *rest),
        corrected_label=corrected,
        decision=action,
        origin=STUDIO,
    )


def _of_setright(layout: Layout, names: Sequence[str], samples: Samples) -> Columns | None:
    """An export of ours brings decisions only where its labels are those after the decisions."""
    states = [state_of(to_text(one.get("state"))) for one in samples]
    if None in states:
        return None
    given = "given_label_name" if "given_label_name" in names else "given_label"
    is_same = [one.get("label") == one.get(given) for one in samples]
    is_given = any(state in BY_MODEL and same for state, same in zip(states, is_same, strict=True))
    has_any = any(state != OPEN for state in states)
    taken = {*OWN_COLUMNS, given, "split"}
    found = Columns(
        text="text",
        label=given if has_any and not is_given else "label",
        id="id",
        split="split" if "split" in names else None,
        metadata=tuple(name for name in names if name not in taken),
        origin=BY_FORMAT.get(layout.format, SETRIGHT),
    )
    if not has_any or is_given:
        return found
    return replace(found, corrected_label="label", decision="state")


def _of_label_issues(names: Sequence[str], samples: Samples) -> Columns | None:
    """The table of `CleanLearning`, with the texts beside it."""
    label = "given_label_name" if "given_label_name" in names else "given_label"
    used = {label, "given_label", "predicted_label", "is_label_issue", "label_quality"}
    guess = guess_columns([name for name in names if name not in used], samples)
    if guess.text is None:
        return None
    unused = (guess.label,) if guess.label else ()
    rest = tuple(name for name in names if name in used and name != label)
    return replace(guess, label=label, metadata=(*unused, *guess.metadata, *rest), origin=LABEL_ISSUES)
