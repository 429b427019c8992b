"""Records of Argilla with their suggestions and responses: its present form, nested or flat, and older."""

from collections.abc import Iterator, Sequence

from app.files.judged import HINTS, Answer, judged
from app.files.label_studio import Values, read_objects
from app.files.opening import Source
from app.files.rows import JsonValue, Layout, Record, Rejected
from app.files.values import to_text
from app.languages import _

SUGGESTION, RESPONSES = ".suggestion", ".responses"
SKIPPED = frozenset({"discarded", "draft"})
OWN_KEYS = frozenset(
    {
        "id", "external_id", "_server_id", "status", "fields", "inputs", "metadata", "suggestions",
        "responses", "vectors", "prediction", "annotation", "prediction_agent", "annotation_agent",
        "multi_label", "explanation", "event_timestamp", "metrics", "search_keywords", "inserted_at",
        "updated_at", "dataset_id",
    }
)  # fmt: skip


def looks_like_records(objects: Sequence[Values]) -> bool:
    """Say whether these are Argilla's records."""
    return bool(objects) and 2 * sum(map(_is_record, objects)) > len(objects)


def _is_record(one: Values) -> bool:
    if isinstance(one.get("fields"), dict):
        return "responses" in one or "suggestions" in one
    if isinstance(one.get("inputs"), dict):
        return "annotation" in one or "prediction" in one
    return any(name.endswith((SUGGESTION, RESPONSES)) for name in one)


def read_argilla(source: Source, layout: Layout) -> Iterator[Record | Rejected]:
    """Records with their fields and metadata, then what was suggested and answered."""
    return read_objects(source, layout, record_values)


def record_values(record: Values) -> Values | str:
    """Give the columns of a record, or why it is no labelled text."""
    fields = next(
        (value for name in ("fields", "inputs") if isinstance(value := record.get(name), dict)), None
    )
    metadata = value if isinstance(value := record.get("metadata"), dict) else {}
    if fields is None:
        fields = {
            name: value
            for name, value in record.items()
            if name not in OWN_KEYS and not any(mark in name for mark in (SUGGESTION, RESPONSES))
        }
    if not fields:
        return _("the record has no fields")
    beside = {**metadata, **fields}
    hints = {name: beside[name] for name in HINTS if name in beside}
    answers = list(_answers(record))
    several = {one.label for one in answers if one.label and "\n" in one.label}
    if several:
        return _("more than one label was chosen for one text; a row has one")
    shown = {name: value for name, value in beside.items() if name not in {*HINTS, "id"}}
    return {
        **shown,
        "id": to_text(record.get("id") or record.get("external_id")),
        **judged(hints, predicted=_suggested(record), answers=answers),
    }


def _suggested(record: Values) -> str | None:
    suggestions = record.get("suggestions")
    found: list[JsonValue] = []
    if isinstance(suggestions, dict):
        found = [one.get("value") if isinstance(one, dict) else one for one in suggestions.values()]
    elif isinstance(suggestions, list):
        found = [one.get("value") for one in suggestions if isinstance(one, dict)]
    elif isinstance(prediction := record.get("prediction"), list):
        found = [_predicted(one) for one in prediction[:1]]
    found += [value for name, value in record.items() if name.endswith(SUGGESTION)]
    return next((label for value in found if (label := _label(value))), None)


def _predicted(one: JsonValue) -> JsonValue:
    if isinstance(one, dict):
        return one.get("label")
    return one[0] if isinstance(one, list) and one else None


def _answers(record: Values) -> Iterator[Answer]:
    responses = record.get("responses")
    if isinstance(responses, dict):
        for values in responses.values():
            yield from (_answer(one) for one in _objects(values))
    elif isinstance(responses, list):
        for one in _objects(responses):
            yield from _old_answers(one)
    if (annotation := _label(record.get("annotation"))) is not None:
        yield Answer(annotation, by=to_text(record.get("annotation_agent")) or "")
    elif record.get("status") in {"Discarded", "discarded"} and not responses:
        yield Answer(None, is_skipped=True)
    for name, values in record.items():
        if name.endswith(RESPONSES) and isinstance(values, list):
            yield from _flat_answers(record, name, values)


def _answer(one: Values) -> Answer:
    return Answer(
        _label(one.get("value")),
        by=to_text(one.get("user_id")) or "",
        is_skipped=one.get("status") in SKIPPED,
    )


def _old_answers(one: Values) -> Iterator[Answer]:
    who, is_skipped = to_text(one.get("user_id")) or "", one.get("status") in SKIPPED
    values = one.get("values")
    labels = [_label(value) for value in values.values()] if isinstance(values, dict) else []
    yield Answer(next(filter(None, labels), None), by=who, is_skipped=is_skipped)


def _flat_answers(record: Values, name: str, values: list[JsonValue]) -> Iterator[Answer]:
    people, states = record.get(f"{name}.users"), record.get(f"{name}.status")
    for position, value in enumerate(values):
        who = people[position] if isinstance(people, list) and position < len(people) else None
        state = states[position] if isinstance(states, list) and position < len(states) else None
        yield Answer(_label(value), by=to_text(who) or "", is_skipped=state in SKIPPED)


def _label(value: JsonValue) -> str | None:
    """Give the label of an answer; of several chosen ones all, one a line."""
    if isinstance(value, dict):
        value = value.get("value")
    if isinstance(value, list):
        return "\n".join(filter(None, (_label(one) for one in value))) or None
    return to_text(value) if isinstance(value, str | int) else None


def _objects(value: JsonValue) -> list[Values]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
