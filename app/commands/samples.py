"""Datasets to try Setright with: the one that ships with it, and the one of the original experiment."""

import hashlib
import json
import tempfile
import urllib.request
from pathlib import Path
from urllib.error import URLError

import sqlalchemy as sa

from app.actor import LOCAL
from app.commands.files import Wanted, import_file
from app.commands.session import Here, finish_job, say
from app.errors import Unavailable
from app.files.reading import preview, read_rows
from app.files.rows import Columns, Limits, Row
from app.models.columns import Split
from app.models.datasets import Dataset
from app.samples import sample_path
from app.services.finding import scoring

SUPPORT, POLITENESS = "support_requests", "politeness"
NAMES = (SUPPORT, POLITENESS)
TRUTH_COLUMN = "intended_label"
POLITENESS_URL = (
    "https://raw.githubusercontent.com/databricks-industry-solutions/cleanlab-improving-llms/"
    "72ef9de77c4987f8882aab1af9dca96f7ffdb5e4/data/"
)
POLITENESS_ROWS_SHA256 = {
    "train.csv": "b74f027a06f4dabd4924ae0b8baa9b365511279aa921b174279030f67767a9b9",
    "test.csv": "55b78d1f125e9a1a9c05336da836e87f89dcff157ad8722591ee43bdf2bd0be0",
}
"""SHA-256 of the rows of each file, as `rows_digest` computes it."""
TIMEOUT_SECONDS = 30
MAX_DOWNLOAD_BYTES = 5_000_000


def offered(here: Here) -> Dataset | None:
    """Return the sample, made where there is no dataset at all; nothing where there are only others."""
    return _find(here, SUPPORT) or (None if _has_datasets(here) else make(here, SUPPORT))


def _has_datasets(here: Here) -> bool:
    with here.database.read() as session:
        return session.scalar(sa.select(Dataset.id).where(Dataset.import_seq > 0).limit(1)) is not None


def make(here: Here, name: str) -> Dataset:
    """Import and score a sample unless that was done before; return its dataset."""
    dataset = _find(here, name)
    if dataset is None:
        say(f"Making the dataset {name} …")
        _import_support(here) if name == SUPPORT else _import_politeness(here)
        dataset = _find(here, name)
    assert dataset is not None  # noqa: S101 — it was imported just now
    if dataset.current_run_id is None:
        say(f"Finding label issues in {name} …")
        with here.database.write() as session:
            run = scoring.request(
                session, dataset.id, embedder=here.settings.embedder, folds=here.settings.folds, actor=LOCAL
            )
        done = finish_job(here, run)
        say(f"{done.issues:,} label issues in {done.rows:,} rows.")
    return dataset


def _find(here: Here, name: str) -> Dataset | None:
    with here.database.read() as session:
        return session.scalar(sa.select(Dataset).where(Dataset.name == name, Dataset.import_seq > 0))


def _import_support(here: Here) -> None:
    columns = Columns(text="text", label="label", id="id", split="split")
    import_file(here, sample_path(SUPPORT), Wanted(columns=columns, without=(TRUTH_COLUMN,)), dataset=SUPPORT)


def _import_politeness(here: Here) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, split in (("train.csv", Split.TRAIN), ("test.csv", Split.TEST)):
            path = _download(name, Path(folder))
            columns = Columns(text="prompt", label="completion")
            import_file(here, path, Wanted(columns=columns, split=split), dataset=POLITENESS)


def _download(name: str, folder: Path) -> Path:
    path, address = folder / name, POLITENESS_URL + name
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 — a fixed https address
            path.write_bytes(answer.read(MAX_DOWNLOAD_BYTES))
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise Unavailable(
            f"The politeness dataset cannot be downloaded from {address}: {reason}. "
            "Without the network, try `setright demo`, or import the two files yourself."
        ) from None
    if rows_digest(path) != POLITENESS_ROWS_SHA256[name]:
        raise Unavailable(
            f"{address} no longer holds the rows of the original experiment; nothing was imported."
        )
    return path


def rows_digest(path: Path) -> str:
    """Return the SHA-256 over text and label of every row: the same however a file quotes its cells."""
    limits = Limits()
    seen = preview(path, name=path.name, limits=limits)
    columns = Columns(text=seen.columns[-2], label=seen.columns[-1])
    digest = hashlib.sha256()
    for row in read_rows(path, seen.layout, columns, limits=limits):
        if isinstance(row, Row):
            digest.update(json.dumps([row.text, row.label]).encode() + b"\n")
    return digest.hexdigest()
