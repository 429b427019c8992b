"""Bodies of many rows: kept on disk as they come, then read row by row, each with its line."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from app.api.once import with_body
from app.config import Settings
from app.errors import InvalidInput
from app.services.importing.many_rows import MAX_ROWS, Fault, refusal
from app.web import uploads
from app.web.uploads import Upload

NDJSON, JSON = "application/x-ndjson", "application/json"
MAX_BYTES = 64 * 1024**2
MAX_LIST_BYTES = 16 * 1024**2
"""A list is read as a whole, which takes many times its size; lines are read one by one."""
Row = TypeVar("Row", bound=BaseModel)
Made = TypeVar("Made")


def schema_of(row: type[BaseModel]) -> dict[str, Any]:
    """Describe a body of many rows, as a list or one a line."""
    schema = row.model_json_schema()
    schema = _inlined(schema, schema.pop("$defs", {}))
    example = schema["examples"][0]
    of_rows = {"type": "array", "maxItems": MAX_ROWS, "items": schema, "examples": [[example]]}
    lines = {"type": "string", "description": f"One object a line, as {json.dumps(example)}"}
    return {
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": of_rows},
                NDJSON: {"schema": lines, "example": f"{json.dumps(example)}\n"},
            },
        }
    }


def _inlined(part: Any, definitions: dict[str, Any]) -> Any:
    """Put what is defined elsewhere in its place."""
    if isinstance(part, list):
        return [_inlined(one, definitions) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        part = {**definitions[part["$ref"].rsplit("/", 1)[1]], **part}
        del part["$ref"]
    return {name: _inlined(value, definitions) for name, value in part.items()}


def kind_of(request: Request) -> str:
    """Return the body's media type, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def receive(request: Request, settings: Settings) -> Upload:
    """Store a body of many rows, and note in the claim what it holds."""
    most = {NDJSON: MAX_BYTES, JSON: MAX_LIST_BYTES}.get(kind_of(request))
    if most is None:
        raise InvalidInput(f"Send the rows as {NDJSON}, one object a line, or as a list in {JSON}.")
    most = min(most, settings.max_file_bytes)
    stored = await uploads.receive_raw(request, settings.uploads, file_name="rows", max_bytes=most)
    with_body(request, stored.sha256)
    return stored


def read(
    path: Path, kind: str, row: type[Row], make: Callable[[int, Row], Made], *, outcome: str
) -> list[Made]:
    """Return every row as `make` has it; raise `RowsRefused` with the first faults if there is one.

    `outcome` is what is said to have come of the call then, as "No verdict was written".
    """
    made: list[Made] = []
    faults: list[Fault] = []
    for line, value in _values(path, kind):
        if line > MAX_ROWS and len(made) + len(faults) >= MAX_ROWS:
            raise InvalidInput(f"One call takes at most {MAX_ROWS:,} rows; send the rest in another one.")
        try:
            made.append(make(line, row.model_validate(_object(value))))
        except (ValueError, RecursionError) as error:
            faults.append(Fault(line, _reason(error)))
    if faults:
        raise refusal(faults, outcome)
    return made


def _values(path: Path, kind: str) -> Iterator[tuple[int, Any]]:
    """Yield each row's line and its bytes, or in a list its place and value."""
    if kind == JSON:
        yield from enumerate(_list(path), start=1)
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, line


def _list(path: Path) -> Sequence[Any]:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The body is not JSON: {error}.") from None
    if not isinstance(found, list):
        raise InvalidInput("The body is JSON, but no list of rows.")
    return found


def _object(value: Any) -> Any:
    return json.loads(value) if isinstance(value, bytes) else value


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        said = (
            f"{'.'.join(map(str, one['loc']))}: {str(one['msg']).removeprefix('Value error, ')}".lstrip(": ")
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        )
        return "; ".join(said)
    return "nested too deeply" if isinstance(error, RecursionError) else f"not JSON: {error}"
