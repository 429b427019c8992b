"""Checks a value against the parts of JSON Schema that OpenAI's description of its API uses."""

from collections.abc import Iterator
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def problems(value: Any, schema: dict[str, Any], description: dict[str, Any], where: str = "") -> list[str]:
    """Return what is wrong with a value; `description` is the whole document, for references."""
    return list(_problems(value, schema, description, where or "the body"))


def _problems(value: Any, schema: dict[str, Any], description: dict[str, Any], where: str) -> Iterator[str]:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        schema = description["components"]["schemas"][name]
    for word in ("oneOf", "anyOf"):
        if word in schema and all(problems(value, one, description, where) for one in schema[word]):
            yield f"{where} fits none of {word}"
    kind = schema.get("type")
    if kind and not isinstance(value, TYPES[kind]):
        yield f"{where} is no {kind}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{where} is none of {schema['enum']}"
    elif kind == "array":
        yield from _problems_of_items(value, schema, description, where)
    elif kind == "object":
        yield from _problems_of_fields(value, schema, description, where)


def _problems_of_items(
    value: list[Any], schema: dict[str, Any], description: dict[str, Any], where: str
) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{where} has {len(value)} items"
    for at, item in enumerate(value):
        yield from _problems(item, schema.get("items", {}), description, f"{where}[{at}]")


def _problems_of_fields(
    value: dict[str, Any], schema: dict[str, Any], description: dict[str, Any], where: str
) -> Iterator[str]:
    known = schema.get("properties", {})
    yield from (f"{where} lacks {name}" for name in schema.get("required", ()) if name not in value)
    for name, item in value.items():
        if name in known:
            yield from _problems(item, known[name], description, f"{where}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{where} has {name}, which nobody knows"
