"""Experiments: asking for a comparison, reading the rows it trains on, keeping what it found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import Actor, Role
from app.errors import Conflict, InvalidInput, Unavailable
from app.models.columns import OPEN_STATES, Split
from app.models.datasets import Dataset
from app.models.examples import ExampleState
from app.models.experiments import Experiment
from app.models.exports import Variant
from app.models.scoring import ScoringRun
from app.models.versions import Version
from app.providers.catalogue import FILE
from app.services import datasets, exports, label_names, runs, versions

TRAINERS = {"linear": "linear", "local": "linear"}
"""The trainers by the names one may call them; `local` is the linear one."""
PLANNED_TRAINERS = ("transformer", "openai")
MAX_SEEDS = 50
LEAST_POINTS = 0.05
"""Smaller differences would be written as 0.0 points."""
CHANCE = 0.05
"""A difference that chance alone gives less often than this is called more than chance."""
SUBJECTS = {
    Variant.ORIGINAL.value: "the original labels",
    Variant.CORRECTED.value: "the corrected labels",
    Variant.DROPPED.value: "the original labels without the flagged rows",
}


@dataclass(frozen=True)
class Material:
    """The rows of an experiment: every train row once, and which variants use it with which label."""

    labels: list[str]
    train_texts: list[str]
    train_hashes: list[bytes]
    variants: dict[str, tuple[list[int], list[int]]]  # name → (train row numbers, label numbers)
    test_texts: list[str]
    test_hashes: list[bytes]
    test_labels: list[int]


def request(
    session: Session, dataset_id: int, *, trainer: str, seeds: Sequence[int], embedder: str, actor: Actor
) -> Experiment:
    """Ask for the same training on original, dropped and corrected rows; the labels are frozen now."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    if trainer in PLANNED_TRAINERS:
        raise Unavailable(f"The trainer {trainer} is not part of this version; use `linear`.")
    if trainer not in TRAINERS:
        raise InvalidInput(f"{trainer!r} is no trainer; there is {', '.join(TRAINERS)}.")
    if not seeds or len(seeds) > MAX_SEEDS or any(not 0 <= seed < 2**31 for seed in seeds):
        raise InvalidInput(f"Seeds are 1 to {MAX_SEEDS} whole numbers from 0 to 2147483647.")
    _check_comparable(session, dataset)
    run = session.get_one(ScoringRun, dataset.current_run_id)
    is_open = sa.select(Experiment.id).where(
        Experiment.dataset_id == dataset_id, Experiment.state.in_(OPEN_STATES)
    )
    if session.scalar(is_open):
        raise Conflict(f"An experiment on {dataset.name} is running already.")
    experiment = Experiment(
        dataset_id=dataset_id,
        trainer=TRAINERS[trainer],
        embedder=run.report.get("embedder") if run.report.get("embedder") not in {None, FILE} else embedder,
        seeds=list(dict.fromkeys(seeds)),
        created_by_id=actor.user_id,
        version_id=0,
    )
    version = versions.create(session, dataset, name=None, reason="experiment", actor=actor)
    experiment.version_id = version.id
    session.add(experiment)
    session.flush()
    events.record(
        session,
        "experiment.requested",
        actor=actor,
        dataset_id=dataset_id,
        subject_id=experiment.id,
        new={"trainer": experiment.trainer, "seeds": experiment.seeds, "version": version.name},
    )
    queue.enqueue(session, queue.Job.EXPERIMENT, experiment.id)
    return experiment


def _check_comparable(session: Session, dataset: Dataset) -> None:
    if dataset.current_run_id is None:
        raise InvalidInput(
            f"{dataset.name} has no scores yet, so nothing can be dropped: run `setright score`."
        )
    counts = datasets.counts(session, dataset.id)
    if not counts.test:
        raise InvalidInput(
            f"{dataset.name} has no test rows: import a file with `--split test`, or one with a split column."
        )
    if not counts.train:
        raise InvalidInput(f"{dataset.name} has no train rows to learn from.")


def get(session: Session, experiment_id: int) -> Experiment:
    """Return an experiment."""
    return runs.get(session, Experiment, experiment_id)


def list_experiments(session: Session, dataset_id: int) -> list[Experiment]:
    """Return the experiments of a dataset, newest first."""
    return list(
        session.scalars(
            sa.select(Experiment)
            .where(Experiment.dataset_id == dataset_id)
            .order_by(Experiment.id.desc())
            .limit(100)
        )
    )


def read_material(session: Session, experiment: Experiment) -> Material:
    """Read the frozen rows: variants as in exports, test rows with the labels current at the version."""
    version = session.get_one(Version, experiment.version_id)
    names = label_names.labels_at(session, version)
    number = {label_id: position for position, label_id in enumerate(names)}
    material = Material(list(names.values()), [], [], {name.value: ([], []) for name in Variant}, [], [], [])
    for frozen in exports.read_frozen(session, version):
        if frozen.split is Split.TEST:
            if frozen.label_id is not None and frozen.state is not ExampleState.EXCLUDED:
                material.test_texts.append(frozen.text)
                material.test_hashes.append(frozen.example.text_hash)
                material.test_labels.append(number[frozen.label_id])
            continue
        row = len(material.train_texts)
        material.train_texts.append(frozen.text)
        material.train_hashes.append(frozen.example.text_hash)
        for variant in Variant:
            label_id = frozen.label_id if variant is Variant.CORRECTED else frozen.given_label_id
            if label_id is not None and exports.belongs(frozen, variant):
                rows, numbers = material.variants[variant.value]
                rows.append(row)
                numbers.append(number[label_id])
    return material


def finish(session: Session, experiment: Experiment, results: dict[str, Any], *, actor: Actor) -> None:
    """Keep what an experiment found."""
    fresh = runs.finish(session, experiment)
    fresh.results = results
    events.record(
        session,
        "experiment.finished",
        actor=actor,
        dataset_id=fresh.dataset_id,
        subject_id=fresh.id,
        new={name: variant["accuracy"] for name, variant in results["variants"].items()},
    )


def verdict(results: Mapping[str, Any]) -> str:
    """Return one sentence: which labels the model learns best from, and whether that may be chance."""
    found = {name: one["accuracy"] for name, one in results.get("variants", {}).items() if name in SUBJECTS}
    if not found:
        return ""
    if (max(found.values()) - min(found.values())) * 100 < LEAST_POINTS:
        return "All variants score the same on these test rows."
    best = max(found, key=lambda name: found[name])
    said = ", ".join(_compared(results, best, other) for other in SUBJECTS if other in found.keys() - {best})
    return f"On these test rows {SUBJECTS[best]} score best: {said}."


def _compared(results: Mapping[str, Any], best: str, other: str) -> str:
    gap = results["variants"][best]["accuracy"] - results["variants"][other]["accuracy"]
    if gap * 100 < LEAST_POINTS:
        return f"{SUBJECTS[other]} score the same"
    points = f"{gap * 100:.1f} points above {SUBJECTS[other]}"
    paired = results.get("paired", {})
    test = paired.get(f"{best}/{other}") or paired.get(f"{other}/{best}")
    if test is None:
        return points
    return f"{points} ({'more than chance' if test['p_value'] < CHANCE else 'which may be chance'})"
