"""Does correcting labels help? The same training on several variants, asked about the same test rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from app.errors import InvalidInput
from app.pipeline.trainers.protocol import Examples, OnEpoch, Trainer
from app.pipeline.twins import twin_groups

HELD_OUT = 0.1
"""Each seed leaves a tenth of the train rows out, where the training itself has nothing else to vary."""

Labels = npt.NDArray[np.int64]
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Variant:
    """What a training sees.

    Attributes
    ----------
    rows : int array (n,)
        Row numbers into the train texts.
    labels : int array (n,)
        The variant's label of each of these rows.
    """

    rows: Labels
    labels: Labels

    def key(self) -> bytes:
        """Return what variants that are the same share."""
        digest = blake2b(digest_size=16)
        for part in (self.rows, self.labels):
            digest.update(len(part).to_bytes(8, "big") + np.ascontiguousarray(part, dtype="<i8").tobytes())
        return digest.digest()


@dataclass(frozen=True)
class Leaks:
    """Texts that are, or nearly are, both in train and in test.

    Attributes
    ----------
    test : int
        Test rows whose text is also a train row's.
    train : bool array (n_train,)
        Train rows whose text is also a test row's.
    """

    test: int
    train: npt.NDArray[np.bool_]


def find_leaks(train: Sequence[str], test: Sequence[str]) -> Leaks:
    """Find texts that are in train and in test, whatever their case, spaces and signs."""
    groups = twin_groups([*train, *test])
    ours, theirs = groups[: len(train)], groups[len(train) :]
    return Leaks(int(np.isin(theirs, ours).sum()), np.isin(ours, theirs))


def without(variant: Variant, left_out: npt.NDArray[np.bool_]) -> Variant:
    """Return a variant without some of the train rows."""
    kept = ~left_out[variant.rows]
    return Variant(variant.rows[kept], variant.labels[kept])


@dataclass(frozen=True)
class Answers:
    """What a trained model predicts.

    Attributes
    ----------
    name : str
    seed : int
    rows : int
        Trained on, with those that the seed leaves out.
    predicted : int64 array (n_test,)
    details : dict
        JSON: what the training says of itself, and its seconds; `same_as` names a variant that is the same.
    """

    name: str
    seed: int
    rows: int
    predicted: Labels
    details: dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What an experiment trains and asks.

    Attributes
    ----------
    trainer : Trainer
    label_names : sequence of str
    texts, test_texts : sequence of str
    variants : mapping of name to Variant
    seeds : sequence of int
    settings : mapping
        Of the trainer.
    folder : Path
        For checkpoints.
    """

    trainer: Trainer
    label_names: Sequence[str]
    texts: Sequence[str]
    test_texts: Sequence[str]
    variants: Mapping[str, Variant]
    seeds: Sequence[int]
    settings: Mapping[str, Any]
    folder: Path

    def check(self) -> None:
        """Raise InvalidInput where there is nothing to train on or to ask about."""
        if not self.seeds:
            raise InvalidInput("An experiment needs at least one seed.")
        if not self.test_texts:
            raise InvalidInput("There are no test rows to judge by; import a file with --split test.")
        for name, variant in self.variants.items():
            if not len(variant.rows):
                raise InvalidInput(f"The variant {name} has no train rows to learn from.")


def settings_for(trainer: Trainer, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of a trainer, so that each seed gives another model."""
    return trainer.complete({"held_out": HELD_OUT, **settings})


def run(
    task: Task,
    *,
    done: Mapping[tuple[str, int], Labels],
    on_run: OnProgress | None = None,
    on_progress: OnProgress | None = None,
    on_epoch: OnEpoch | None = None,
) -> Iterator[Answers]:
    """Train every variant with every seed, and yield what each model predicts of the test rows.

    Parameters
    ----------
    task : Task
    done : mapping of (name, seed) to int64 array (n_test,)
        What an earlier call has yielded: it is not repeated.
    on_run : callable, optional
        Called as ``on_run(number, total)`` before each training, from 1; may raise to stop.
    on_progress, on_epoch : callable, optional
        Told by the training that is under way; see `Trainer.train`.

    Yields
    ------
    Answers
        Two variants with the same rows and labels are trained once.

    Raises
    ------
    InvalidInput
        When there is no seed, or a variant or the test set has no rows.
    """
    task.check()
    # Seed by seed: one that is stopped half-way has whole comparisons.
    trainings = [(name, seed) for seed in task.seeds for name in task.variants]
    known: dict[tuple[bytes, int], tuple[str, Labels]] = {}
    for number, (name, seed) in enumerate(trainings, start=1):
        variant = task.variants[name]
        key = (variant.key(), seed)
        if (name, seed) in done:
            known.setdefault(key, (name, done[name, seed]))
            continue
        if on_run:
            on_run(number, len(trainings))
        if key in known:
            twin, predicted = known[key]
            found = Answers(name, seed, len(variant.rows), predicted, {"same_as": twin})
        else:
            found = _answers(task, name, seed, on_progress, on_epoch, place=number)
        known.setdefault(key, (name, found.predicted))
        yield found


def _answers(
    task: Task,
    name: str,
    seed: int,
    on_progress: OnProgress | None,
    on_epoch: OnEpoch | None,
    *,
    place: int,
) -> Answers:
    variant = task.variants[name]
    began = perf_counter()
    model = task.trainer.train(
        Examples([task.texts[row] for row in variant.rows.tolist()], variant.labels),
        label_names=task.label_names,
        settings=task.settings,
        seed=seed,
        folder=task.folder / str(place),
        on_progress=on_progress,
        on_epoch=on_epoch,
    )
    predicted = model.predict(task.test_texts).argmax(axis=1).astype(np.int64)
    details = {**model.report, "seconds": round(perf_counter() - began, 3)}
    return Answers(name, seed, len(variant.rows), predicted, details)
