"""A scored dataset of any size for the benchmark `web`, written straight into the tables."""

import datetime as dt
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import numpy as np
import sqlalchemy as sa

from app.actor import LOCAL
from app.db import Base, Database, now
from app.models import Dataset, Label, MetadataColumn, ScoringRun
from app.models.columns import RunState, Split
from app.models.examples import ExampleState, text_hash
from app.science.neighbours import pack
from app.science.probabilities import pack_rows
from app.services.ranking.counting import Standing, Sums
from app.services.ranking.search_words import prepared, tsvector
from bench.files import WORDS

CLASSES = 20
CHUNK = 10_000
ISSUE_SHARE = 0.2
CHANNELS = ("chat", "mail", "phone", "shop", "forum")
WORD_HAN = "退货"
"""Two characters that stand next to each other in one of a thousand texts."""
_HAN = [chr(0x4E00 + number) for number in range(3000)]


def build(database: Database, rows: int) -> int:
    """Make a dataset of so many rows, a tenth of them in Chinese; return its number."""
    with database.write() as session:
        dataset = Dataset(name="Bench", import_seq=1, created_by_id=LOCAL.user_id)
        session.add(dataset)
        session.flush()
        labels = [
            Label(dataset_id=dataset.id, name=f"class {number:02}", import_seq=1) for number in range(CLASSES)
        ]
        session.add_all(labels)
        session.add(MetadataColumn(dataset_id=dataset.id, name="channel", known=sorted(CHANNELS)))
        run = ScoringRun(
            dataset_id=dataset.id,
            embedder="use",
            state=RunState.DONE,
            started_at=now(),
            finished_at=now() + dt.timedelta(seconds=1),
            created_by_id=LOCAL.user_id,
            rows=rows,
        )
        session.add(run)
        session.flush()
        run.label_ids = [label.id for label in labels]
        dataset_id, run_id, label_ids = dataset.id, run.id, list(run.label_ids)
    facts = _Facts(rows, label_ids)
    for start in range(0, rows, CHUNK):
        numbers = range(start, min(start + CHUNK, rows))
        _write(database, dataset_id, run_id, facts, numbers)
    with database.write() as session:
        session.get_one(Dataset, dataset_id).current_run_id = run_id
        _count(facts).save(session, dataset_id)
        session.get_one(ScoringRun, run_id).issues = int(facts.is_issue.sum())
    if not database.is_sqlite:
        with (
            database.write() as session
        ):  # the rows have brought their numbers: what comes next is counted on
            session.execute(
                sa.text("SELECT setval(pg_get_serial_sequence('examples', 'id'), :rows)"), {"rows": rows}
            )
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))
    return dataset_id


class _Facts:
    """What all rows have, drawn at once."""

    def __init__(self, rows: int, label_ids: Sequence[int]) -> None:
        rng = np.random.default_rng(0)
        self.is_issue = rng.random(rows) < ISSUE_SHARE
        self.own = np.where(self.is_issue, rng.beta(1, 6, rows), rng.beta(6, 1, rows))
        self.given = rng.choice(label_ids, rows)
        other = rng.choice(label_ids, rows)
        self.is_issue &= other != self.given
        self.suggested = np.where(self.is_issue, other, self.given)
        self.rank = np.zeros(rows, dtype=np.int64)
        issues = np.flatnonzero(self.is_issue)
        self.rank[issues[np.argsort(self.own[issues], kind="stable")]] = np.arange(1, len(issues) + 1)
        self.channel = rng.choice(len(CHANNELS), rows)
        self.neighbours = rng.integers(1, rows + 1, (1000, 10))
        self.probabilities = pack_rows(rng.dirichlet(np.ones(CLASSES), 1000).astype(np.float32))


def text_of(number: int, random: Random) -> str:
    """Return a made-up text: words of support requests, or Chinese characters; some with a rare word."""
    if number % 10 == 0:
        middle = WORD_HAN if number % 1000 == 0 else ""
        return "".join(random.choices(_HAN, k=20)) + middle + "".join(random.choices(_HAN, k=20))
    rare = f" zebra{number % 5000}" if number % 3 == 0 else ""
    return " ".join(random.choices(WORDS, k=16)) + rare


def _write(database: Database, dataset_id: int, run_id: int, facts: _Facts, numbers: range) -> None:
    random = Random(numbers.start)
    texts = [text_of(number, random) for number in numbers]
    tables = Base.metadata.tables
    neighbours = pack(facts.neighbours, np.linspace(0.9, 0.5, 10)[None].repeat(len(facts.neighbours), axis=0))
    with database.write() as session:
        connection = session.connection()
        _insert(connection, tables["examples"], _examples(dataset_id, facts, numbers, texts))
        _insert(connection, tables["scores"], _scores(run_id, facts, numbers))
        _insert(
            connection,
            tables["evidence"],
            (
                {"run_id": run_id, "example_id": number + 1, "neighbours": neighbours[number % 1000]}
                for number in numbers
            ),
        )
        _insert(
            connection,
            tables["metadata_values"],
            (
                {"column_id": 1, "value": CHANNELS[facts.channel[number]], "example_id": number + 1}
                for number in numbers
            ),
        )
        words, name = (prepared, "rowid") if database.is_sqlite else (tsvector, "example_id")
        index = sa.table("search_words", sa.column(name), sa.column("words"))
        _insert(
            connection,
            index,
            ({name: number + 1, "words": words(text)} for number, text in zip(numbers, texts, strict=True)),
        )


def _examples(
    dataset_id: int, facts: _Facts, numbers: range, texts: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for number, text in zip(numbers, texts, strict=True):
        label_id = int(facts.given[number])
        yield {
            "id": number + 1,
            "dataset_id": dataset_id,
            "external_id": f"r{number + 1}",
            "import_seq": 1,
            "position": number + 1,
            "split": Split.TRAIN.value,
            "text": text,
            "text_hash": text_hash(text),
            "source_label_id": label_id,
            "given_label_id": label_id,
            "label_id": label_id,
            "state": ExampleState.OPEN.value,
            "metadata": f'{{"channel":"{CHANNELS[facts.channel[number]]}"}}',
            "version": 1,
            "note": "",
        }


def _scores(run_id: int, facts: _Facts, numbers: range) -> Iterator[dict[str, Any]]:
    for number in numbers:
        own, is_issue = float(facts.own[number]), bool(facts.is_issue[number])
        yield {
            "run_id": run_id,
            "example_id": number + 1,
            "self_confidence": own,
            "rank_key": own,
            "suggested_label_id": int(facts.suggested[number]),
            "suggested_confidence": (1 - own) * 0.9 if is_issue else own,
            "is_issue": is_issue,
            "is_recommended": is_issue and own < 0.02,
            "issue_rank": int(facts.rank[number]) or None,
            "kinds": 0,
            "pred_probs": facts.probabilities[number % 1000],
            "split": Split.TRAIN.value,
            "given_label_id": int(facts.given[number]),
            "state": ExampleState.OPEN.value,
            "is_open": True,
        }


def _insert(connection: sa.Connection, table: sa.TableClause, rows: Iterator[dict[str, Any]]) -> None:
    """Write rows the fastest way that the database has: values as they are stored, no conversion."""
    first = next(rows)
    names = list(first)
    values = [tuple(first.values()), *(tuple(row.values()) for row in rows)]
    cursor = connection.connection.cursor()
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(names))
        cursor.executemany(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})", values)  # noqa: S608 — names of ours
    else:
        with cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy:
            for row in values:
                copy.write_row(row)
    cursor.close()


def _count(facts: _Facts) -> Sums:
    sums = Sums()
    for label_id in np.unique(facts.given):
        for is_issue in (False, True):
            rows = int(((facts.given == label_id) & (facts.is_issue == is_issue)).sum())
            label = int(label_id)
            sums.add(Standing(Split.TRAIN, label, label, ExampleState.OPEN, is_issue), rows)
    return sums
