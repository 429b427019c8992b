"""What a scoring run would take, before it is asked for: seconds, and the price where a service is paid."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.config import Settings
from app.files import vectors
from app.languages import _
from app.models.datasets import Dataset
from app.models.examples import Example
from app.providers.catalogue import (
    KINDS,
    OPENAI,
    EmbedderKind,
    check_name,
    kind_of,
    openai_model,
    openai_version,
)
from app.services import datasets

# Rows looked at; a larger dataset is judged by so many of them.
SAMPLE_ROWS = 2_000
# A machine has been measured once it has embedded so many characters.
LEAST_MEASURED = 50_000
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class Estimate:
    """What embedding a dataset would take.

    Attributes
    ----------
    embedder : str
    says : str
        What speaks for and against the embedder.
    rows : int
        Rows of the dataset.
    texts, characters : int
        What has no vector yet, judged by a sample where the dataset is large.
    seconds : float or None
        None where nothing is known of the service's speed.
    is_measured : bool
        Whether the speed is this installation's own; else it is that of a common machine.
    tokens : int or None
        For a service: about one for four characters.
    price : float or None
        For a service whose price the settings name.
    sent_to : str or None
        The host that would see the texts.
    install : str
        What to type first where packages are missing.
    """

    embedder: str
    says: str
    rows: int
    texts: int
    characters: int
    seconds: float | None
    is_measured: bool
    tokens: int | None = None
    price: float | None = None
    sent_to: str | None = None
    install: str = ""


@dataclass(frozen=True)
class _Sample:
    """Different texts of a dataset: hashes, lengths, and how many of the dataset each stands for."""

    hashes: np.ndarray[tuple[int, int], np.dtype[np.uint8]]
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]]
    weight: float
    rows: int


def estimate(session: Session, dataset_id: int, *, embedder: str, settings: Settings) -> Estimate:
    """Say what embedding a dataset's rows with this embedder would take now."""
    check_name(embedder)
    return _of(_sample(session, datasets.get(session, dataset_id)), embedder, settings)


def estimates(session: Session, dataset_id: int, *, settings: Settings) -> list[Estimate]:
    """Say it for every embedder that can be chosen, the settings' own first."""
    sample = _sample(session, datasets.get(session, dataset_id))
    usual = settings.embedder
    names = [usual, *(kind.name for kind in KINDS if kind.name != usual)]
    return [_of(sample, name, settings) for name in names]


def service(session: Session, dataset_id: int, *, settings: Settings) -> Estimate | None:
    """Say it for a model of the service, none of whose vectors are here yet; None where there is no key."""
    if settings.openai_api_key is None:
        return None
    return _of(_sample(session, datasets.get(session, dataset_id)), f"{OPENAI}-", settings)


def sent_to(embedder: str, settings: Settings) -> str | None:
    """Return the host that an embedder sends texts to, if it does."""
    return urlsplit(settings.openai_base_url).hostname if openai_model(embedder) is not None else None


def _of(sample: _Sample, name: str, settings: Settings) -> Estimate:
    kind, model = kind_of(name), openai_model(name)
    version = "" if kind is None else kind.version
    if model is not None:
        version = openai_version(settings.openai_base_url)
    folder = vectors.folder_of(settings.embeddings, name, version)
    is_new = np.ones(len(sample.lengths), dtype=bool)
    if kind is None or kind.per_text:
        is_new = ~vectors.known(folder, sample.hashes)
    texts = round(int(is_new.sum()) * sample.weight)
    characters = round(int(sample.lengths[is_new].sum()) * sample.weight)
    seconds, is_measured = _seconds(kind, folder, characters)
    is_service = model is not None
    tokens = -(-characters // CHARACTERS_PER_TOKEN) if is_service else None
    price = settings.openai_embedding_price
    return Estimate(
        embedder=name,
        says=_(kind.says) if kind else _("A model of a service: every new text is sent there."),
        rows=sample.rows,
        texts=texts,
        characters=characters,
        seconds=seconds,
        is_measured=is_measured,
        tokens=tokens,
        price=tokens / 1e6 * price if tokens is not None and price else None,
        sent_to=sent_to(name, settings),
        install="" if kind is None or kind.is_installed else kind.install,
    )


def _seconds(kind: EmbedderKind | None, folder: Path, characters: int) -> tuple[float | None, bool]:
    made = vectors.cost(folder)
    if made.characters >= LEAST_MEASURED and made.seconds > 0:
        return characters * made.seconds / made.characters, True
    return (characters / kind.characters_per_second if kind else None), False


def _sample(session: Session, dataset: Dataset) -> _Sample:
    visible = (Example.dataset_id == dataset.id, Example.import_seq <= dataset.import_seq)
    rows = datasets.counts(session, dataset.id).rows
    query = sa.select(Example.text_hash, sa.func.length(Example.text)).where(*visible)
    if rows > SAMPLE_ROWS:
        low, high = session.execute(
            sa.select(sa.func.min(Example.id), sa.func.max(Example.id)).where(*visible)
        ).one()
        query = query.where(Example.id.in_(_spread(low, high)))
    found = session.execute(query).all()
    lengths = {bytes(text_hash): int(length or 0) for text_hash, length in found}
    return _Sample(
        _hashes(list(lengths)),
        np.array(list(lengths.values()), dtype=np.int64),
        rows / len(found) if rows > SAMPLE_ROWS and found else 1.0,
        rows,
    )


def _spread(low: int, high: int) -> list[int]:
    numbers = range(low, high + 1)
    # Any spread will do; the same one each time shows the same figures.
    return random.Random(low).sample(numbers, min(SAMPLE_ROWS, len(numbers)))  # noqa: S311 — no secret


def _hashes(found: Sequence[bytes]) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.frombuffer(b"".join(found), dtype=np.uint8).reshape(len(found), vectors.HASH_BYTES)
