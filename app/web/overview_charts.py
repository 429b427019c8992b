"""The charts of the overview: what services count, drawn with links to the rows."""

from collections.abc import Callable, Sequence
from functools import partial

from fastapi import Request

from app.charts import (
    Bar,
    Chart,
    Column,
    Heat,
    Point,
    Series,
    bar_chart,
    column_chart,
    heat_map,
    line_chart,
)
from app.languages import _, n_
from app.models.datasets import Dataset, Label
from app.services.reviewing.overview import ClassRow, Histogram, KindRow, PairRow
from app.services.reviewing.progress import Course
from app.web.render import url
from app.web.words import day, hour, kind_name, number, percent

WHOLE, HALF = 1096, 540
MOST_IN_MATRIX = 14
MOST_NOISY = 40

Address = Callable[..., str]


def addresses(request: Request, dataset: Dataset) -> Address:
    """Return what gives the address of the queue under a filter."""
    return partial(url, request, "review.queue", dataset_id=dataset.id)


def confidence_chart(found: Histogram, queue: Address) -> Chart:
    """Draw the self-confidence of the train rows."""
    bins = len(found.rows)
    columns = []
    for at, (rows, flagged) in enumerate(zip(found.rows, found.flagged, strict=True)):
        start, end = at / bins, (at + 1) / bins
        query = {"preset": "all", "min_confidence": f"{start:g}", "max_confidence": f"{end:g}"}
        title = n_(
            "%(start)s to %(end)s: %(rows)s row, %(flagged)s of them flagged",
            "%(start)s to %(end)s: %(rows)s rows, %(flagged)s of them flagged",
            rows,
            start=f"{start:.2f}",
            end=f"{end:.2f}",
            rows=number(rows),
            flagged=number(flagged),
        )
        columns.append(Column(start, end, rows, flagged, title, queue(query) if rows else ""))
    return column_chart(
        "self-confidence",
        _("Self-confidence of the train rows"),
        columns,
        heads=("from", "to", "rows", "flagged"),
        x_title=_("probability of the given label"),
        width=HALF,
        cut=found.cut,
    )


def matrix_labels(pairs: Sequence[PairRow], labels: Sequence[Label], *, most: int) -> list[Label]:
    """Return the labels of the matrix: all, or those that most open issues have to do with."""
    if len(labels) <= most:
        return list(labels)
    rows: dict[int, int] = {}
    for pair in pairs:
        for label in (pair.given, pair.suggested):
            rows[label.id] = rows.get(label.id, 0) + pair.rows
    worst = sorted(labels, key=lambda label: (-rows.get(label.id, 0), label.name))[:most]
    return sorted(worst, key=lambda label: label.name)


def matrix_chart(pairs: Sequence[PairRow], labels: Sequence[Label], queue: Address) -> Chart:
    """Draw the open issues by given and suggested label; the table behind it has every pair."""
    place = {label.id: at for at, label in enumerate(labels)}
    cells = {
        (place[pair.given.id], place[pair.suggested.id]): Heat(
            pair.rows,
            n_(
                "%(rows)s row given %(given)s, suggested %(suggested)s",
                "%(rows)s rows given %(given)s, suggested %(suggested)s",
                pair.rows,
                rows=number(pair.rows),
                given=pair.given.name,
                suggested=pair.suggested.name,
            ),
            queue({"given": pair.given.id, "suggested": pair.suggested.id}),
        )
        for pair in pairs
        if pair.given.id in place and pair.suggested.id in place
    }
    names = [label.name for label in labels]
    return heat_map(
        "given-suggested",
        _("Open label issues: given label (left) and suggested label (top)"),
        names,
        names,
        cells,
        heads=("given", "suggested", "rows"),
        width=WHOLE,
        own={at: at for at in range(len(labels))},
        table=[(pair.given.name, pair.suggested.name, pair.rows) for pair in pairs],
    )


def kinds_chart(kinds: Sequence[KindRow], issues: int, queue: Address) -> Chart:
    """Draw the open train rows of each kind of issue."""
    bars = [Bar(_("label issue"), issues, number(issues), link=queue({}) if issues else "")]
    for row in kinds:
        link = queue({"preset": row.kind.value}) if row.open_train else ""
        bars.append(Bar(kind_name(row.kind), row.open_train, number(row.open_train), link=link))
    heads = (_("kind"), _("open train rows"))
    return bar_chart("kinds", _("Open train rows by kind of issue"), bars, heads=heads, width=HALF)


def classes_chart(classes: Sequence[ClassRow], queue: Address) -> Chart:
    """Draw the flagged share of each class with its interval, the worst first."""
    judged = sorted(
        ((row, row.noise) for row in classes if row.noise),
        key=lambda item: (-item[1].share, item[0].label.name),
    )
    bars = [
        Bar(
            row.label.name,
            noise.share,
            percent(noise.share, 1),
            noise.low,
            noise.high,
            n_(
                "%(label)s: %(share)s of %(rows)s row flagged",
                "%(label)s: %(share)s of %(rows)s rows flagged",
                row.rows,
                label=row.label.name,
                share=percent(noise.share, 1),
                rows=number(row.rows),
            ),
            queue({"preset": "all", "given": row.label.id}),
        )
        for row, noise in judged
    ]
    return bar_chart(
        "classes",
        _("Flagged share of each class, with its 95% interval"),
        bars[:MOST_NOISY],
        heads=(_("class"), _("flagged share"), _("from"), _("to")),
        width=WHOLE,
        is_share=True,
    )


def progress_chart(course: Course) -> Chart:
    """Draw the resolved rows over time, by hand and in bulk."""
    begins = [moment.begins_at for moment in course.moments]
    places = [begins_at.timestamp() for begins_at in begins]
    written = [hour(begins_at) if course.is_hourly else day(begins_at) for begins_at in begins]
    by_hand = [Point(at, one.by_hand) for at, one in zip(places, course.moments, strict=True)]
    in_bulk = [Point(at, one.in_bulk) for at, one in zip(places, course.moments, strict=True)]
    series = [Series(_("by hand"), by_hand)]
    if any(point.y for point in in_bulk):
        series.append(Series(_("in bulk"), in_bulk))
    return line_chart(
        "progress",
        _("Rows resolved since the review began (times in UTC)"),
        series,
        heads=("how", "until", "rows"),
        ticks=list(zip(places, written, strict=True)),
        width=HALF,
        is_step=True,
    )
