"""What an experiment says in words: one plain sentence, and a report to share."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from app.languages import N_, _
from app.services.proving.material import MODEL, VERSION, Taught

LEAST_POINTS = 0.05
"""Smaller differences would be written as 0.0 points."""
CHANCE = 0.05
"""A difference that chance alone gives less often than this is called more than chance."""
NAMES = {
    Taught.ORIGINAL.value: N_("Original"),
    Taught.DROPPED.value: N_("Dropped"),
    Taught.CORRECTED.value: N_("Corrected"),
    Taught.AUTO_FIXED.value: N_("Auto-fix only"),
    Taught.HUMAN.value: N_("People only"),
}
MEANINGS = {
    Taught.ORIGINAL.value: N_("the given labels, every row"),
    Taught.DROPPED.value: N_("the given labels without the flagged rows"),
    Taught.CORRECTED.value: N_("the labels as they are now"),
    Taught.AUTO_FIXED.value: N_("the given labels, but where auto-fix changed them"),
    Taught.HUMAN.value: N_("the given labels, but where people decided"),
}
SAME = N_("All variants score the same on these test rows.")
HELPED = N_(
    "With {better}, the model gets {after:.1%} of the test rows right instead of "
    "{before:.1%} with {base}: {points:.1f} points more (95% interval {low} to {high}), "
    "which is more than chance."
)
PERHAPS_HELPED = N_(
    "With {better}, the model gets {after:.1%} of the test rows right instead of "
    "{before:.1%} with {base}, but {points:.1f} points (95% interval {low} to {high}) "
    "may be chance."
)
HARMED = N_(
    "With {better}, the model gets only {after:.1%} of the test rows right instead of "
    "{before:.1%} with {base}: {points:.1f} points fewer (95% interval {low} to "
    "{high}), which is more than chance."
)
PERHAPS_HARMED = N_(
    "With {better}, the model gets {after:.1%} of the test rows right instead of "
    "{before:.1%} with {base}; {points:.1f} points fewer (95% interval {low} to {high}) "
    "may be chance."
)
NO_CHANGE = N_(
    "With {better}, the model does as well as with {base}: it gets {after:.1%} of the test rows right."
)
GONE = N_("Of the errors, {gone:.0%} are gone.")
BEST = N_("The best of all is {name}, with {accuracy:.1%}.")
ONE = N_("Trained on {name}, the model gets {accuracy:.1%} of the test rows right.")


def name_of(variant: str) -> str:
    """Return what a variant, a version or another model is called on a page."""
    if variant.startswith(MODEL):
        return variant.removeprefix(MODEL)
    if variant.startswith(VERSION):
        return _("Version %(version)s", version=variant.removeprefix(VERSION))
    return _(NAMES[variant]) if variant in NAMES else variant


def meaning_of(variant: str) -> str:
    """Return what a variant is trained on."""
    if variant.startswith(MODEL):
        return _("another model, asked about the same rows")
    if variant.startswith(VERSION):
        return _("the labels as they were at that version")
    return _(MEANINGS[variant]) if variant in MEANINGS else ""


def headline(results: Mapping[str, Any]) -> str:
    """Return what changed and how sure that is: corrected against original labels where there are both."""
    variants = results.get("variants", {})
    if not variants:
        return ""
    names = list(variants)
    base = results.get("baseline") or (Taught.ORIGINAL.value if Taught.ORIGINAL.value in names else names[0])
    others = [name for name in names if name != base]
    if not others:
        return _(ONE).format(name=_subject(base), accuracy=variants[base]["accuracy"])
    best = max(others, key=lambda name: variants[name]["accuracy"])
    shown = Taught.CORRECTED.value if Taught.CORRECTED.value in others else best
    sentences = [_difference(results, shown, base)]
    if len(others) > 1 and _is_above(variants[best]["accuracy"], variants[shown]["accuracy"]):
        sentences.append(_(BEST).format(name=_subject(best), accuracy=variants[best]["accuracy"]))
    return " ".join(sentences)


def _difference(results: Mapping[str, Any], better: str, base: str) -> str:
    one, other = results["variants"][better], results["variants"][base]
    gap = one["accuracy"] - other["accuracy"]
    test = paired(results, better, base)
    is_sure = test is not None and test["p_value"] < CHANCE
    interval = one.get("difference") or {"low": gap, "high": gap}
    facts = {
        "better": _subject(better),
        "base": _subject(base),
        "before": other["accuracy"],
        "after": one["accuracy"],
        "points": abs(gap) * 100,
        "low": _signed(interval["low"]),
        "high": _signed(interval["high"]),
    }
    if abs(gap) * 100 < LEAST_POINTS:
        return _(NO_CHANGE).format(**facts)
    if gap < 0:
        return _(HARMED if is_sure else PERHAPS_HARMED).format(**facts)
    said = _(HELPED if is_sure else PERHAPS_HELPED).format(**facts)
    gone = one.get("error_reduction")
    return f"{said} {_(GONE).format(gone=gone)}" if is_sure and gone else said


def paired(results: Mapping[str, Any], one: str, other: str) -> Mapping[str, Any] | None:
    """Return the test of two models against each other, if there was one."""
    found = results.get("paired", {})
    test: Mapping[str, Any] | None = found.get(f"{one}/{other}") or found.get(f"{other}/{one}")
    return test


def _signed(difference: float) -> str:
    return f"{difference * 100:+.1f}".replace("-", "\N{MINUS SIGN}")


def _is_above(one: float, other: float) -> bool:
    return (one - other) * 100 >= LEAST_POINTS


def _subject(variant: str) -> str:
    said = {
        Taught.ORIGINAL.value: _("the original labels"),
        Taught.DROPPED.value: _("the original labels without the flagged rows"),
        Taught.CORRECTED.value: _("the corrected labels"),
        Taught.AUTO_FIXED.value: _("the labels that auto-fix alone has changed"),
        Taught.HUMAN.value: _("the labels that people alone have changed"),
    }
    if variant.startswith(VERSION):
        return _("the labels of version %(version)s", version=variant.removeprefix(VERSION))
    return said.get(variant, name_of(variant))


@dataclass(frozen=True)
class About:
    """What a report says of an experiment besides its results."""

    number: int
    dataset: str
    version: str
    trainer: str
    embedder: str
    seeds: tuple[int, ...]
    repeats: int | None
    asked_by: str
    finished: str


def report(about: About, results: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report as JSON."""
    return {**asdict(about), "headline": headline(results), "warnings": warnings(results), "results": results}


def markdown(about: About, results: Mapping[str, Any]) -> str:
    """Write a report that can be pasted into an issue or a page."""
    parts = [
        f"# Experiment {about.number} on {_plain(about.dataset)}",
        headline(results),
        *_warnings(results),
        _table(results),
        *_curve(results),
        *_classes(results),
        _settings(about, results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _warnings(results: Mapping[str, Any]) -> list[str]:
    return [f"**Note:** {one}" for one in warnings(results)]


def warnings(results: Mapping[str, Any]) -> list[str]:
    """Return what a reader should know before believing the numbers."""
    found = []
    test, leaks = results.get("test") or {}, results.get("leaks") or {}
    if leaks.get("test") and not leaks.get("left_out"):
        found.append(
            _(
                "%(test)s test rows say the same as a train row, so that every accuracy here is a "
                "little too high.",
                test=leaks["test"],
            )
        )
    if since := test.get("since"):
        found.append(
            _(
                "Test labels changed since experiment %(experiment)s: %(labels_changed)s labels are "
                "others, %(rows_added)s rows came and %(rows_removed)s went. Its numbers do not "
                "compare with these.",
                experiment=since["experiment"],
                labels_changed=since["labels_changed"],
                rows_added=since["rows_added"],
                rows_removed=since["rows_removed"],
            )
        )
    if test.get("changed"):
        found.append(
            _(
                "People have changed the labels of %(changed)s test rows: all variants are judged by "
                "the changed ones.",
                changed=test["changed"],
            )
        )
    return found


def _table(results: Mapping[str, Any]) -> str:
    lines = [
        "| trained on | rows | accuracy | 95% interval | macro F1 | errors gone | McNemar p |",
        "|---|---|---|---|---|---|---|",
    ]
    base = results.get("baseline")
    for name, one in results.get("variants", {}).items():
        test = paired(results, name, base) if base and name != base else None
        cells = [
            _plain(name_of(name)),
            "–" if one.get("rows") is None else f"{one['rows']:,}",
            f"{one['accuracy']:.1%}",
            f"{one['low']:.1%} to {one['high']:.1%}",
            "–" if one.get("macro_f1") is None else f"{one['macro_f1']:.3f}",
            "–" if one.get("error_reduction") is None else f"{one['error_reduction']:+.1%}",
            "–" if test is None else p_value(test["p_value"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def p_value(value: float) -> str:
    """Write how likely chance alone would give such a difference."""
    least = 0.001
    return "< 0.001" if value < least else f"{value:.3f}"


def _curve(results: Mapping[str, Any]) -> list[str]:
    points = results.get("curve")
    if not points:
        return []
    lines = ["| rows reviewed | accuracy | 95% interval |", "|---|---|---|"]
    lines += [
        f"| {one['reviewed']:,} | {one['accuracy']:.1%} | {one['low']:.1%} to {one['high']:.1%} |"
        for one in points
    ]
    return ["## Accuracy against rows reviewed", "\n".join(lines)]


def _classes(results: Mapping[str, Any]) -> list[str]:
    variants = {
        name: one["classes"] for name, one in results.get("variants", {}).items() if one.get("classes")
    }
    if not variants:
        return []
    lines = [
        f"| class | test rows | {' | '.join(f'F1 {_plain(name_of(name))}' for name in variants)} |",
        "|---|---|" + "---|" * len(variants),
    ]
    for label in results["labels"]:
        scores = [classes[label] for classes in variants.values()]
        shown = ["–" if one["f1"] is None else f"{one['f1']:.3f}" for one in scores]
        lines.append(f"| {_plain(label)} | {scores[0]['support']:,} | {' | '.join(shown)} |")
    return ["## Per class", "\n".join(lines)]


def _settings(about: About, results: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in results.get("versions", {}).items())
    settings = ", ".join(f"{name} {value}" for name, value in results.get("settings", {}).items())
    lines = [
        "## How",
        f"- Trainer: {about.trainer}" + (f" on {about.embedder}" if about.trainer == "linear" else ""),
        f"- Version of the labels: {_plain(about.version)}; {results.get('test_rows', 0):,} test rows",
        f"- Seeds: {', '.join(map(str, about.seeds))}",
        f"- Settings: {settings or 'the usual ones'}",
        f"- Asked for by {_plain(about.asked_by)}, finished {about.finished}",
        f"- Packages: {packages}",
        f"- Fingerprint of all predictions: `{results.get('fingerprint', '–')}`",
    ]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return a name that cannot break out of a table cell or become markup."""
    kept = " ".join(text.split())
    for sign in "\\|`*_[]<>#":
        kept = kept.replace(sign, f"\\{sign}")
    return kept
