"""Hostile files of other tools: tasks, records, decisions and zipped folders that are not what they claim."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.files.hostile_texts import MEGABYTE, Made

STUDIO = "id,text,label,cleanlab_action,cleanlab_corrected_label\n"


def exchanges() -> Iterator[Made]:
    yield from _tasks()
    yield from _records()
    yield from _decisions()
    yield from _folders()


def _tasks() -> Iterator[Made]:
    task: dict[str, Any] = {"data": {"text": "a text"}, "annotations": [], "predictions": []}
    yield from _json("tasks without data", [{"annotations": [], "predictions": []}] * 3)
    yield from _json("tasks of strings", [{**task, "annotations": ["x", None, 3]}] * 3)
    yield from _json(
        "tasks with odd results", [{**task, "annotations": [{"result": {"a": 1}}, {"result": [[]]}]}]
    )
    value = {"choices": [None, 5, {"a": "b"}, " "]}
    odd = {"result": [{"type": "choices", "value": value}], "completed_by": [1], "updated_at": {"x": 1}}
    yield from _json("tasks with odd choices", [{**task, "annotations": [odd]}] * 3)
    yield from _json("tasks with empty data", [{**task, "data": {}}] * 3)
    yield from _json("tasks with data of data", [{**task, "data": {"data": {"data": {"text": "x"}}}}] * 3)
    many = {f"key {n}": n for n in range(5000)}
    yield from _json("tasks with 5,000 fields", [{**task, "data": many}] * 2)
    region = {"type": "choices", "value": {"choices": ["x" * 100_000]}}
    given = [{"result": [region], "score": "high"}]
    yield from _json("tasks with a huge label", [{**task, "predictions": given, "annotations": given}])
    hints = {"text": "a", "given_label": {"x": 1}, "state": ["kept"], "label": 5, "id": None}
    yield from _json("tasks with odd hints", [{**task, "data": hints}] * 3)
    yield "tasks cut.json", json.dumps([task] * 50)[:-40].encode(), "tasks that end early"
    yield "tasks.jsonl", (json.dumps(task) + "\n[1]\nnull\n").encode() * 5, "tasks and other things in lines"


def _records() -> Iterator[Made]:
    record: dict[str, Any] = {"fields": {"text": "a text"}, "responses": {}, "suggestions": {}}
    yield from _json("records without fields", [{**record, "fields": {}}] * 3)
    yield from _json("records with odd responses", [{**record, "responses": {"q": [1, None, []]}}] * 3)
    yield from _json(
        "records with odd suggestions", [{**record, "suggestions": [1, {"value": {"a": []}}]}] * 3
    )
    yield from _json(
        "records with nested values", [{**record, "suggestions": {"q": {"value": [[["x"]]]}}}] * 3
    )
    flat = {"text": "a", "q.responses": "x", "q.responses.users": 5, "q.suggestion": {"value": None}}
    yield from _json("flat records with odd lists", [flat] * 3)
    yield from _json("records with metadata of text", [{**record, "metadata": "none"}] * 3)
    yield from _json(
        "old records with odd predictions", [{"inputs": {"text": "x"}, "prediction": [[], 5]}] * 3
    )


def _decisions() -> Iterator[Made]:
    yield "studio unknown.csv", (STUDIO + "1,a b,x,obliterate,\n" * 5).encode(), "actions nobody knows"
    yield "studio only excluded.csv", (STUDIO + "1,a b,x,exclude,\n").encode(), "every row excluded"
    yield "studio long.csv", (STUDIO + f"1,a b,x,label,{'y' * 5000}\n").encode(), "a corrected label of 5,000"
    yield (
        "studio empty label.csv",
        (STUDIO + "1,a b,,keep,\n2,c d,,label,y\n").encode(),
        "decisions on nothing",
    )
    yield "studio formulas.csv", (STUDIO + '1,a b,x,"=1+1",@y\n').encode(), "formulas as decisions"
    rows = "".join(f"{n},text {n},x,label,y{n}\n" for n in range(1500))
    yield "studio classes.csv", (STUDIO + rows).encode(), "more corrected labels than classes may be"
    own = "id,text,label,given_label,split,state\n1,a b,x,y,train,odd\n"
    yield "setright odd.csv", own.encode(), "a state that there is not"
    issues = "is_label_issue,label_quality,given_label,predicted_label\ntrue,0.1,0,1\n"
    yield "label issues.csv", issues.encode(), "cleanlab's table without texts"


def _folders() -> Iterator[Made]:
    table = pa.table({"text": ["one", "two"], "label": [0, 1]})
    yield "folder of junk.zip", _zip({"train.parquet": b"PAR1 and nothing"}), "a Parquet file that is none"
    yield "folder of arrow junk.zip", _zip({"train.arrow": b"\0" * 100}), "an Arrow file that is none"
    yield "folder of no rows.zip", _zip({"train.jsonl": b""}), "an empty file in a folder"
    yield (
        "folder of paths.zip",
        _zip({"../../etc/train.csv": b"text,label\na b,x\n"}),
        "a path that climbs out",
    )
    names = {
        "huggingface": json.dumps({"info": {"features": {"label": {"names": 5, "_type": "ClassLabel"}}}})
    }
    yield (
        "folder of odd classes.zip",
        _zip({"train.parquet": _parquet(table, names)}),
        "classes that are a number",
    )
    few = {"info": {"features": {"label": {"names": ["a"], "_type": "ClassLabel"}}}}
    held = _zip({"train.parquet": _parquet(table, {"huggingface": json.dumps(few)})})
    yield "folder of few classes.zip", held, "numbers beyond the classes"
    yield (
        "folder of broken names.zip",
        _zip({"train.parquet": _parquet(table, {"huggingface": "{"})}),
        "no JSON",
    )
    bomb = _zip({"train.csv": b"text,label\n" + b"a,b\n" * (16 * MEGABYTE)}, packed=True)
    yield "folder that explodes.zip", bomb, "unpacks to far more than it has"
    yield (
        "folder of folders.zip",
        _zip({"train.csv/": b"", "a/b.csv": b"text,label\nx y,z\n"}),
        "folders named .csv",
    )
    twice = _zip({"train.csv": _zip({"train.csv": b"text,label\na b,c\n"})})
    yield "folder in a folder.zip", twice, "a zip archive named .csv in a zip archive"
    mixed = {"train.csv": b"text,label\na b,x\n", "test.jsonl": b'{"other": 1}\n'}
    yield "folder of two shapes.zip", _zip(mixed), "files with different columns"
    yield "folder of readmes.zip", _zip({"README.md": b"# hello", "a.txt": b"x"}), "no data files"
    cut = _zip({"train.csv": b"text,label\n" + b"some text,x\n" * 1000})
    yield "folder cut.zip", cut[: len(cut) // 2], "half an archive"


def _json(name: str, value: object) -> Iterator[Made]:
    yield f"{name}.json", json.dumps(value).encode(), name


def _zip(files: dict[str, bytes], *, packed: bool = False) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, data in {"README.md": b"# a dataset", **files}.items():
            archive.writestr(name, data)
    return out.getvalue()


def _parquet(table: pa.Table, metadata: dict[str, str]) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(metadata), out)
    return bytes(out.getvalue())
