"""The pictures of an experiment."""

import math
from collections.abc import Mapping
from typing import Any

from app.charts import Bar, Chart, Heat, Point, Series, heat_map, line_chart
from app.charts.intervals import interval_chart
from app.languages import _
from app.services.proving.experiment_words import name_of
from app.web.words import percent

MOST_IN_MATRIX = 12


def accuracy_chart(results: Mapping[str, Any]) -> Chart | None:
    """Draw the accuracy of each variant with its interval."""
    variants = results.get("variants", {})
    if not variants:
        return None
    bars = [
        Bar(
            name=name_of(variant),
            value=found["accuracy"],
            text=percent(found["accuracy"], 1),
            low=found["low"],
            high=found["high"],
            title=f"{percent(found['low'], 1)} – {percent(found['high'], 1)}",
        )
        for variant, found in variants.items()
    ]
    heads = (_("Trained on"), _("Accuracy"), _("From"), _("To"))
    return interval_chart("accuracy", _("Test accuracy with 95% intervals"), bars, heads=heads)


def curve_chart(results: Mapping[str, Any]) -> Chart | None:
    """Draw the accuracy against the number of rows that people have reviewed."""
    points = results.get("curve") or []
    if not points:
        return None
    drawn = [Point(one["reviewed"], one["accuracy"], one["low"], one["high"]) for one in points]
    low = max(0.0, math.floor((min(one["low"] for one in points) - 0.01) * 20) / 20)
    return line_chart(
        "curve",
        _("Test accuracy against rows reviewed"),
        [Series("accuracy", drawn)],
        heads=(_("Line"), _("Rows reviewed"), _("Accuracy")),
        ticks=[(one["reviewed"], f"{one['reviewed']:,}") for one in points],
        x_title=_("rows that people have reviewed"),
        width=640,
        low=low,
        is_share=True,
    )


def confusion_chart(results: Mapping[str, Any], variant: str) -> Chart | None:
    """Draw which labels a model takes for which; nothing where there are too many to read."""
    found = results.get("variants", {}).get(variant, {})
    matrix, labels = found.get("confusion"), results.get("labels", [])
    if not matrix or len(labels) > MOST_IN_MATRIX:
        return None
    seeds = max(len(found.get("per_seed", [])), 1)
    cells = {
        (row, column): Heat(round(times / seeds, 1), f"{labels[row]} → {labels[column]}")
        for row, counts in enumerate(matrix)
        for column, times in enumerate(counts[: len(labels)])
        if times
    }
    heads = (_("Label"), _("Predicted"), _("Rows"))
    title = _(
        "%(name_of)s: label (rows) and prediction (columns), mean over the seeds", name_of=name_of(variant)
    )
    return heat_map("confusion", title, labels, labels, cells, heads=heads, width=560)
