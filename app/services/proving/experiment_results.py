"""What came out of an experiment, as JSON; and other models that join it.

Only workers load this: it needs scipy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor, Role
from app.errors import Conflict, InvalidInput
from app.languages import _
from app.models.columns import RunState
from app.models.datasets import Dataset
from app.models.examples import Example
from app.models.experiments import Experiment, Trial
from app.science.comparison import UNANSWERED, Comparison, Judged, compare
from app.services.labelling import label_names
from app.services.proving import experiments
from app.services.proving.material import MODEL, REVIEWED, Taught
from app.services.versioning import versions

MOST_IN_MATRIX = 20
MOST_CONFUSED = 30
MAX_MODEL_NAME = 100
CHUNK = 500

Labels = npt.NDArray[np.int64]


def pack_places(places: Sequence[int] | Labels) -> bytes:
    """Store places of labels, 4 bytes each."""
    return np.asarray(places, dtype="<i4").tobytes()


def unpack_places(blob: bytes) -> Labels:
    """Read what `pack_places` stored: int64 array."""
    return np.frombuffer(blob, dtype="<i4").astype(np.int64)


def pack_ids(ids: Sequence[int]) -> bytes:
    """Store ids of examples, 8 bytes each."""
    return np.asarray(ids, dtype="<i8").tobytes()


def unpack_ids(blob: bytes) -> Labels:
    """Read what `pack_ids` stored: int64 array."""
    return np.frombuffer(blob, dtype="<i8").astype(np.int64)


def summed_up(
    experiment: Experiment, trials: Sequence[Trial], *, labels: Sequence[str], seeds: Sequence[int]
) -> dict[str, Any]:
    """Return what can be said of the predictions alone: the same for the same predictions.

    `experiment` comes with its test rows (`experiments.with_test_rows`).
    """
    truth = unpack_places(experiment.test_labels or b"")
    by_name: dict[str, list[Trial]] = {}
    for trial in trials:
        by_name.setdefault(trial.name, []).append(trial)
    order = [name for name in by_name if not name.startswith(REVIEWED)]
    predicted = {name: _stacked(by_name[name], seeds) for name in by_name}
    baseline = Taught.ORIGINAL.value if Taught.ORIGINAL.value in predicted else None
    found = compare(
        truth, {name: predicted[name] for name in order}, n_classes=len(labels), baseline=baseline
    )
    curve = {name: answers for name, answers in predicted.items() if name.startswith(REVIEWED)}
    along = compare(truth, curve, n_classes=len(labels), baseline=None)
    return {
        "baseline": baseline,
        "variants": {name: _variant(found.models[name], by_name[name], labels) for name in order},
        "paired": _paired(found),
        "curve": [_point(name, along.models[name], by_name[name]) for name in sorted(curve, key=_reviewed)],
        "test_rows": len(truth),
        "labels": list(labels),
        "fingerprint": _fingerprint(experiment, trials),
    }


def _stacked(trials: Sequence[Trial], seeds: Sequence[int]) -> Labels:
    place = {seed: at for at, seed in enumerate(seeds)}
    ordered = sorted(trials, key=lambda trial: place.get(trial.seed, len(place)))
    return np.stack([unpack_places(trial.predicted) for trial in ordered])


def _reviewed(name: str) -> int:
    return int(name.removeprefix(REVIEWED))


def _variant(judged: Judged, trials: Sequence[Trial], labels: Sequence[str]) -> dict[str, Any]:
    gain = judged.gain
    reduction = gain.error_reduction if gain else None
    found = {
        "accuracy": judged.accuracy,
        "low": judged.interval.low,
        "high": judged.interval.high,
        "spread": judged.spread,
        "per_seed": list(judged.per_seed),
        "macro_f1": judged.macro_f1,
        "rows": trials[0].rows,
        "difference": asdict(gain.difference) if gain else None,
        "error_reduction": judged.error_reduction,
        "error_reduction_interval": asdict(reduction) if reduction else None,
        "unanswered": judged.unanswered,
        "classes": {
            name: {key: _number(value) for key, value in asdict(scores).items()}
            for name, scores in zip(labels, judged.classes, strict=True)
        },
        "confused": _confused(judged),
        "seconds": sum(trial.details.get("seconds", 0) for trial in trials),
        "details": trials[0].details if trials[0].name.startswith(MODEL) else {},
        "trainings": [_training(trial) for trial in trials],
    }
    if len(labels) <= MOST_IN_MATRIX:
        found["confusion"] = judged.confusion.tolist()
    return found


def _training(trial: Trial) -> dict[str, Any]:
    return {"seed": trial.seed, **trial.details}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _confused(judged: Judged) -> list[list[int]]:
    """Return label, prediction and times of the most frequent confusions over all seeds."""
    wrong = judged.confusion.copy()
    np.fill_diagonal(wrong, 0)
    label, prediction = np.nonzero(wrong)
    times = wrong[label, prediction]
    worst = np.argsort(-times, kind="stable")[:MOST_CONFUSED]
    return [[int(label[at]), int(prediction[at]), int(times[at])] for at in worst]


def _paired(found: Comparison) -> dict[str, Any]:
    return {f"{one}/{other}": asdict(test) for (one, other), test in found.paired.items()}


def _point(name: str, judged: Judged, trials: Sequence[Trial]) -> dict[str, Any]:
    return {
        "reviewed": _reviewed(name),
        "rows": trials[0].rows,
        "accuracy": judged.accuracy,
        "low": judged.interval.low,
        "high": judged.interval.high,
        "per_seed": list(judged.per_seed),
    }


def _fingerprint(experiment: Experiment, trials: Sequence[Trial]) -> str:
    """Return what two experiments with the same numbers share, other models that joined them aside."""
    digest = blake2b(digest_size=16)
    digest.update(experiment.test_ids or b"")
    digest.update(experiment.test_labels or b"")
    for trial in sorted(trials, key=lambda one: (one.name, one.seed)):
        if not trial.name.startswith(MODEL):
            digest.update(f"{trial.name}\n{trial.seed}\n{trial.rows}\n".encode() + trial.predicted)
    return digest.hexdigest()


def since(earlier: Experiment | None, now: Experiment) -> dict[str, Any] | None:
    """Return how the test rows differ from those of an earlier experiment, if they do."""
    if earlier is None:
        return None
    before, after = _labels_of(earlier), _labels_of(now)
    both = before.keys() & after.keys()
    changed = sum(before[one] != after[one] for one in both)
    if not changed and len(both) == len(before) == len(after):
        return None
    return {
        "experiment": earlier.id,
        "labels_changed": changed,
        "rows_added": len(after) - len(both),
        "rows_removed": len(before) - len(both),
    }


def _labels_of(experiment: Experiment) -> dict[int, int]:
    ids = unpack_ids(experiment.test_ids or b"").tolist()
    places = unpack_places(experiment.test_labels or b"").tolist()
    return {one: experiment.label_ids[place] for one, place in zip(ids, places, strict=True)}


@dataclass(frozen=True)
class TestRow:
    """A row to ask a model about, and the label it is judged by."""

    example_id: int
    text: str
    label: str


@dataclass(frozen=True)
class OtherModel:
    """A model that was trained elsewhere, or not at all, and what it answered.

    Attributes
    ----------
    name : str
        As it is shown; adding one of the same name again replaces it.
    answers : mapping of example id to label name
        None, or no entry, is an answer that is no label: it counts as wrong.
    rows : int or None
        Trained on.
    details : mapping
        JSON to be kept beside it: provider, model, tokens, price.
    """

    name: str
    answers: Mapping[int, str | None]
    rows: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def label_names_of(session: Session, experiment: Experiment) -> list[str]:
    """Return the labels that a model of this experiment may answer, in their order."""
    names = label_names.names_at(session, versions.get(session, experiment.version_id))
    return [names[label_id] for label_id in experiment.label_ids]


def test_rows(session: Session, experiment_id: int) -> list[TestRow]:
    """Return the rows that every model of a finished experiment was asked about, in their order."""
    experiment = _finished(session, experiment_id)
    version = versions.get(session, experiment.version_id)
    names = label_names_of(session, experiment)
    ids = unpack_ids(experiment.test_ids or b"").tolist()
    places = unpack_places(experiment.test_labels or b"").tolist()
    texts: dict[int, str] = {}
    for start in range(0, len(ids), CHUNK):
        found = session.scalars(sa.select(Example).where(Example.id.in_(ids[start : start + CHUNK]))).all()
        texts |= {frozen.example.id: frozen.text for frozen in versions.freeze(session, version, found)}
    return [TestRow(one, texts[one], names[place]) for one, place in zip(ids, places, strict=True)]


def add_model(session: Session, experiment_id: int, model: OtherModel, *, actor: Actor) -> Experiment:
    """Let another model join a finished experiment, beside those that were trained in it."""
    experiment = _finished(session, experiment_id)
    actor.require(Role.LEAD, session.get_one(Dataset, experiment.dataset_id))
    if not model.name.strip() or len(model.name) > MAX_MODEL_NAME:
        raise InvalidInput(
            _("A model's name has 1 to %(max_model_name)s characters.", max_model_name=MAX_MODEL_NAME)
        )
    labels = label_names_of(session, experiment)
    place = {name: at for at, name in enumerate(labels)}
    answers = [model.answers.get(one) for one in unpack_ids(experiment.test_ids or b"").tolist()]
    predicted = [UNANSWERED if one is None else place.get(one, UNANSWERED) for one in answers]
    known = {(trial.name, trial.seed): trial for trial in experiments.trials(session, experiment_id)}
    name = f"{MODEL}{model.name.strip()}"
    trial = known.get((name, 0)) or Trial(experiment_id=experiment_id, name=name, seed=0)
    trial.rows, trial.predicted, trial.details = model.rows, pack_places(predicted), dict(model.details)
    session.add(trial)
    session.flush()
    found = experiments.trials(session, experiment_id)
    experiment.results = {
        **experiment.results,
        **summed_up(experiment, found, labels=labels, seeds=experiment.seeds),
    }
    events.record(
        session,
        "experiment.model_added",
        actor=actor,
        dataset_id=experiment.dataset_id,
        subject_id=experiment.id,
        new={"model": model.name, "accuracy": experiment.results["variants"][name]["accuracy"]},
    )
    return experiment


def _finished(session: Session, experiment_id: int) -> Experiment:
    experiment = experiments.with_test_rows(session, experiment_id)
    if experiment.state is not RunState.DONE or experiment.test_ids is None:
        raise Conflict(
            _(
                "Experiment %(experiment_id)s has no test rows that another model could be asked "
                "about: it has not finished, or an older release made it.",
                experiment_id=experiment_id,
            )
        )
    return experiment
