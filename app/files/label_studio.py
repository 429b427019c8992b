"""Tasks of Label Studio with their annotations and predictions, as records."""

from collections.abc import Callable, Iterator, Sequence

from app.files.json_array import read_json_array
from app.files.json_lines import read_json_lines
from app.files.judged import HINTS, Answer, judged
from app.files.opening import Source, read_head
from app.files.rows import RAW_CHARS, JsonValue, Layout, Record, Rejected
from app.files.values import to_json, to_text
from app.languages import _

TASK_LISTS = ("annotations", "predictions", "completions")

Values = dict[str, JsonValue]


def looks_like_tasks(objects: Sequence[Values]) -> bool:
    """Say whether these are tasks: their data in one object, annotations or predictions beside it."""
    found = [one for one in objects if isinstance(one.get("data"), dict)]
    tasks = [one for one in found if any(isinstance(one.get(name), list) for name in TASK_LISTS)]
    return bool(objects) and 2 * len(tasks) > len(objects)


def read_label_studio(source: Source, layout: Layout) -> Iterator[Record | Rejected]:
    """Tasks as records: the fields of `data`, then what was predicted and annotated."""
    return read_objects(source, layout, task_values)


def read_objects(
    source: Source, layout: Layout, values_of: Callable[[Values], Values | str]
) -> Iterator[Record | Rejected]:
    """Objects of a JSON list or of JSON lines, each turned into values or a reason why it cannot be."""
    head = read_head(source, size=4096).lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0")
    read = read_json_array if head.startswith(b"[") else read_json_lines
    for record in read(source, layout):
        if isinstance(record, Rejected):
            yield record
            continue
        values = values_of(record.values)
        if isinstance(values, str):
            yield Rejected(record.line, values, to_json(record.values)[:RAW_CHARS])
        else:
            yield Record(record.line, values)


def task_values(task: Values) -> Values | str:
    """Give the columns of a task, or why it is no labelled text."""
    data = task.get("data")
    if not isinstance(data, dict):
        return _("the task has no data")
    try:
        predicted = _predicted(task.get("predictions"))
        answers = [
            _answer(one) for name in ("annotations", "completions") for one in _objects(task.get(name))
        ]
    except ValueError as error:
        return str(error)
    shown = {name: value for name, value in data.items() if name not in {*HINTS, "id"}}
    return {
        **shown,
        "id": to_text(data.get("id", task.get("id"))),
        **judged(data, predicted=predicted, answers=answers),
    }


def _predicted(predictions: JsonValue) -> str | None:
    """Give the label of the surest prediction."""
    found = [(_score(one), label) for one in _objects(predictions) if (label := _choice(one))]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _score(prediction: Values) -> float:
    score = prediction.get("score")
    return float(score) if isinstance(score, int | float) and not isinstance(score, bool) else 0.0


def _answer(annotation: Values) -> Answer:
    when = annotation.get("updated_at") or annotation.get("created_at")
    return Answer(
        label=_choice(annotation),
        by=_person(annotation.get("completed_by")),
        at=to_text(when) or "",
        is_skipped=bool(annotation.get("was_cancelled")),
        is_truth=bool(annotation.get("ground_truth")),
    )


def _choice(annotation: Values) -> str | None:
    """Give the one label that was chosen, None without one; more than one is a ValueError."""
    for region in _objects(annotation.get("result")):
        value = region.get("value")
        choices = value.get("choices") if isinstance(value, dict) else None
        if region.get("type", "choices") != "choices" or not isinstance(choices, list):
            continue
        labels = [text for one in choices if isinstance(one, str) and (text := one.strip())]
        if len(labels) > 1:
            raise ValueError(f"{len(labels)} labels were chosen for one text; a row has one")
        if labels:
            return labels[0]
    return None


def _person(who: JsonValue) -> str:
    if isinstance(who, dict):
        return to_text(who.get("email") or who.get("username") or who.get("id")) or ""
    return to_text(who) or ""


def _objects(value: JsonValue) -> list[Values]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
