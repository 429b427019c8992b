"""The API's own page: every operation, read from the OpenAPI schema, without scripts."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.web.deps import Visitor
from app.web.render import html

router = APIRouter()
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class FieldLine:
    """One parameter or field."""

    name: str
    place: str
    kind: str
    is_required: bool
    description: str


@dataclass(frozen=True)
class Operation:
    """One method of one address."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    takes: list[FieldLine]
    gives: list[FieldLine]
    example: str


@router.get("/docs", name="api.docs", include_in_schema=False)
def show(request: Request, _visitor: Visitor) -> Response:
    """Show what programs can do here; to anybody, as it tells nothing of the data."""
    schema = request.app.openapi()
    nouns: dict[str, list[Operation]] = {}
    for tag, operation in _operations(schema):
        nouns.setdefault(tag, []).append(operation)
    return html(request, "api/docs.html", nouns=nouns, version=schema["info"]["version"])


def _operations(schema: Schema) -> Iterator[tuple[str, Operation]]:
    for path, methods in schema["paths"].items():
        for method, found in methods.items():
            body = _content(schema, found.get("requestBody", {}))
            fields = body["items"] if body.get("type") == "array" else body
            answers = [found["responses"][code] for code in sorted(found["responses"]) if code[0] == "2"]
            yield (
                found["tags"][0],
                Operation(
                    id=found["operationId"],
                    method=method.upper(),
                    path=path,
                    summary=found["summary"],
                    description=found["description"],
                    takes=[
                        *_parameters(schema, found.get("parameters", [])),
                        *_fields(schema, fields, "body"),
                    ],
                    gives=_answer_fields(schema, _content(schema, answers[0])),
                    example="\n".join(json.dumps(one) for one in body.get("examples", [])),
                ),
            )


def _content(schema: Schema, holder: Schema) -> Schema:
    for media in holder.get("content", {}).values():
        return _resolved(schema, media.get("schema", {}))
    return {}


def _resolved(schema: Schema, part: Schema) -> Schema:
    """Follow a reference, also the one inside `this or null`."""
    for one in part.get("anyOf", [part]):
        if "$ref" in one:
            found: Schema = schema["components"]["schemas"][one["$ref"].rsplit("/", 1)[1]]
            return found
    return part


def _parameters(schema: Schema, parameters: list[Schema]) -> list[FieldLine]:
    return [
        FieldLine(
            name=one["name"],
            place=one["in"],
            kind=_kind(schema, one["schema"]),
            is_required=one.get("required", False),
            description=one.get("description", ""),
        )
        for one in parameters
    ]


def _fields(schema: Schema, part: Schema, place: str) -> list[FieldLine]:
    return [
        FieldLine(
            name=name,
            place=place,
            kind=_kind(schema, one),
            is_required=name in part.get("required", []),
            description=one.get("description", ""),
        )
        for name, one in part.get("properties", {}).items()
    ]


def _answer_fields(schema: Schema, part: Schema) -> list[FieldLine]:
    """Return the fields of an answer; of a list, those of its items."""
    items = part.get("properties", {}).get("items", {}).get("items")
    return _fields(schema, _resolved(schema, items) if items else part, "items" if items else "")


def _kind(schema: Schema, part: Schema) -> str:
    if "anyOf" in part:
        return " or ".join(_kind(schema, one) for one in part["anyOf"])
    if "$ref" in part:
        name: str = part["$ref"].rsplit("/", 1)[1]
        choices = schema["components"]["schemas"][name].get("enum")
        return _choices(choices) if choices else "object"
    if "enum" in part:
        return _choices(part["enum"])
    if part.get("type") == "array":
        return f"list of {_kind(schema, part['items'])}"
    return str(part.get("format", part.get("type", "any")))


def _choices(choices: list[Any]) -> str:
    return " | ".join(str(choice) for choice in choices if choice is not None)
