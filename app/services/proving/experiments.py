"""Experiments: asking for a comparison, keeping what each training predicts and what came out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from app import events
from app.actor import Actor, Role
from app.errors import Conflict, InvalidInput, NotFound, Unavailable
from app.languages import ENGLISH, _, speaking
from app.models.columns import OPEN_STATES, RunState
from app.models.datasets import Dataset
from app.models.experiments import Experiment, Trial
from app.models.people import User
from app.models.scoring import ScoringRun
from app.models.versions import Version
from app.providers.catalogue import FILE
from app.services import datasets
from app.services.operation import runs
from app.services.proving import experiment_words, material, test_split
from app.services.proving.experiment_words import About
from app.services.proving.material import Material, Taught
from app.services.versioning import versions

TRAINERS = {"linear": "linear", "local": "linear", "transformer": "transformer"}
"""The trainers by the names one may call them; `local` is the linear one."""
ELSEWHERE = "openai"
"""Trained at a service: a fine-tune, whose model joins a comparison once it is ready."""
USUAL = (Taught.ORIGINAL, Taught.DROPPED, Taught.CORRECTED)
MAX_SEEDS = 50
MAX_VERSIONS = 10
MAX_POINTS = 50


@dataclass(frozen=True)
class Wanted:
    """What a person wants to compare.

    Attributes
    ----------
    embedder : str
        For `linear`, where the current scores do not name another.
    version_names : sequence of str
        Versions whose current labels are compared as well.
    curve_points : int
        So many trainings, for each seed, between no verdict of people and all of them; 0 leaves that out.
    leave_out_leaks : bool
        Train on no row whose text is also a test row's.
    settings : mapping
        Of the trainer, where they differ from its own.
    """

    trainer: str = "linear"
    seeds: Sequence[int] = (0, 1, 2)
    embedder: str = "use"
    variants: Sequence[str] = USUAL
    version_names: Sequence[str] = ()
    curve_points: int = 0
    leave_out_leaks: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


def request(session: Session, dataset_id: int, wanted: Wanted, *, actor: Actor) -> Experiment:
    """Ask for the same training on several variants; the labels are frozen now."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    variants = _check_wanted(wanted)
    others = [versions.get_by_name(session, dataset.id, name) for name in dict.fromkeys(wanted.version_names)]
    _check_comparable(session, dataset, variants)
    _refuse_second(session, dataset)
    experiment = Experiment(
        dataset_id=dataset_id,
        trainer=TRAINERS[wanted.trainer],
        embedder=_embedder(session, dataset, wanted),
        seeds=list(dict.fromkeys(wanted.seeds)),
        plan={
            "variants": [one.value for one in variants],
            "versions": [other.id for other in others],
            "curve_points": wanted.curve_points,
            "leave_out_leaks": wanted.leave_out_leaks,
            "settings": dict(wanted.settings),
        },
        created_by_id=actor.user_id,
        version_id=0,
    )
    version = versions.create(session, dataset, name=None, reason="experiment", actor=actor)
    experiment.version_id = version.id
    return _ask(session, experiment, version, actor=actor)


def repeat(session: Session, experiment_id: int, *, actor: Actor) -> Experiment:
    """Ask for an experiment once more: the same version, seeds and settings, so the same numbers."""
    first = get(session, experiment_id)
    dataset = datasets.get(session, first.dataset_id)
    actor.require(Role.LEAD, dataset)
    _refuse_second(session, dataset)
    again = Experiment(
        dataset_id=first.dataset_id,
        version_id=first.version_id,
        trainer=first.trainer,
        embedder=first.embedder,
        seeds=first.seeds,
        plan=first.plan or {"variants": [one.value for one in USUAL]},
        repeats_id=first.id,
        created_by_id=actor.user_id,
    )
    return _ask(session, again, versions.get(session, first.version_id), actor=actor)


def _ask(session: Session, experiment: Experiment, version: Version, *, actor: Actor) -> Experiment:
    new = {"trainer": experiment.trainer, "seeds": experiment.seeds, "version": version.name}
    return runs.ask(session, experiment, new=new, actor=actor)


def _check_wanted(wanted: Wanted) -> list[Taught]:
    if wanted.trainer == ELSEWHERE:
        raise Unavailable(
            _(
                "A service trains by a fine-tune (`setright finetune`), and its model then joins an "
                "experiment; here, choose linear or transformer."
            )
        )
    if wanted.trainer not in TRAINERS:
        raise InvalidInput(
            _(
                "%(trainer)r is no trainer; there is %(trainers)s.",
                trainer=wanted.trainer,
                trainers=", ".join(TRAINERS),
            )
        )
    seeds = wanted.seeds
    if not seeds or len(seeds) > MAX_SEEDS or any(not 0 <= seed < 2**31 for seed in seeds):
        raise InvalidInput(
            _("Seeds are 1 to %(max_seeds)s whole numbers from 0 to 2147483647.", max_seeds=MAX_SEEDS)
        )
    if len(wanted.version_names) > MAX_VERSIONS:
        raise InvalidInput(
            _("At most %(max_versions)s versions can be compared at once.", max_versions=MAX_VERSIONS)
        )
    if not 0 <= wanted.curve_points <= MAX_POINTS:
        raise InvalidInput(_("A curve has at most %(max_points)s points.", max_points=MAX_POINTS))
    return _variants(wanted)


def _variants(wanted: Wanted) -> list[Taught]:
    known = {one.value: one for one in Taught}
    for name in wanted.variants:
        if name not in known:
            raise InvalidInput(
                _("%(name)r is no variant; there are %(known)s.", name=name, known=", ".join(known))
            )
    chosen = [one for one in Taught if one.value in wanted.variants]
    if not chosen and not wanted.version_names:
        raise InvalidInput(_("Choose at least one variant to train on."))
    return chosen


def _check_comparable(session: Session, dataset: Dataset, variants: Sequence[Taught]) -> None:
    if dataset.current_run_id is None and Taught.DROPPED in variants:
        raise InvalidInput(
            _(
                "%(dataset)s has no scores yet, so nothing can be dropped: run `setright score`.",
                dataset=dataset.name,
            )
        )
    counts = datasets.counts(session, dataset.id)
    if not counts.test:
        raise InvalidInput(
            _(
                "%(dataset)s has no test rows: import a file with `--split test`, or one with a "
                "split column, or draw some from the train rows (`setright test-split`).",
                dataset=dataset.name,
            )
        )
    if not counts.train:
        raise InvalidInput(_("%(dataset)s has no train rows to learn from.", dataset=dataset.name))
    if Taught.DROPPED in variants and test_split.is_newer_than_scores(session, dataset):
        raise InvalidInput(
            _(
                "The test rows of %(dataset)s were drawn after it was scored, so they had a part in "
                "what is flagged: find label issues again first (`setright score`).",
                dataset=dataset.name,
            )
        )


def _refuse_second(session: Session, dataset: Dataset) -> None:
    is_open = sa.select(Experiment.id).where(
        Experiment.dataset_id == dataset.id, Experiment.state.in_(OPEN_STATES)
    )
    if session.scalar(is_open):
        raise Conflict(_("An experiment on %(dataset)s is running already.", dataset=dataset.name))


def _embedder(session: Session, dataset: Dataset, wanted: Wanted) -> str:
    run = session.get(ScoringRun, dataset.current_run_id) if dataset.current_run_id else None
    found = run.report.get("embedder") if run else None
    return wanted.embedder if found in {None, FILE} else str(found)


def get(session: Session, experiment_id: int) -> Experiment:
    """Return an experiment."""
    return runs.get(session, Experiment, experiment_id)


def of_dataset(session: Session, dataset: Dataset, experiment_id: int) -> Experiment:
    """Return an experiment of this dataset."""
    experiment = get(session, experiment_id)
    if experiment.dataset_id != dataset.id:
        raise NotFound(
            _(
                "There is no experiment %(experiment_id)s of %(dataset)s.",
                experiment_id=experiment_id,
                dataset=dataset.name,
            )
        )
    return experiment


def about(session: Session, experiment: Experiment) -> About:
    """Return what a report says of an experiment besides its results."""
    ended = experiment.finished_at
    return About(
        number=experiment.id,
        dataset=session.get_one(Dataset, experiment.dataset_id).name,
        version=versions.get(session, experiment.version_id).name,
        trainer=experiment.trainer,
        embedder=experiment.embedder,
        seeds=tuple(experiment.seeds),
        repeats=experiment.repeats_id,
        asked_by=session.get_one(User, experiment.created_by_id).name,
        finished=ended.isoformat(timespec="seconds") if ended else "",
    )


def list_experiments(
    session: Session, dataset_id: int, *, before_id: int | None = None, limit: int = 100
) -> list[Experiment]:
    """Return the experiments of a dataset, newest first; `before_id` continues an earlier page."""
    query = sa.select(Experiment).where(Experiment.dataset_id == dataset_id)
    if before_id is not None:
        query = query.where(Experiment.id < before_id)
    return list(session.scalars(query.order_by(Experiment.id.desc()).limit(limit)))


def report_file(session: Session, experiment: Experiment, ending: str) -> tuple[str, str]:
    """Return the name and content of a report: Markdown for `md`, else JSON; in English, to be shared."""
    with speaking(ENGLISH):
        facts = about(session, experiment)
        if ending == "md":
            return f"experiment-{experiment.id}.md", experiment_words.markdown(facts, experiment.results)
        content = json.dumps(experiment_words.report(facts, experiment.results), indent=1)
        return f"experiment-{experiment.id}.json", f"{content}\n"


def read_material(session: Session, experiment: Experiment) -> Material:
    """Read what an experiment trains on and is judged by. The session should be a snapshot."""
    plan = experiment.plan
    return material.read(
        session,
        versions.get(session, experiment.version_id),
        variants=[Taught(name) for name in plan["variants"]] if plan else USUAL,
        versions=[versions.get(session, one) for one in plan.get("versions", ())],
        curve_points=plan.get("curve_points", 0),
    )


def keep_test_rows(
    session: Session, experiment: Experiment, *, label_ids: Sequence[int], ids: bytes, labels: bytes
) -> None:
    """Keep which rows are judged and by which labels; `ids` and `labels` as in the table."""
    fresh = runs.guard(session, experiment)
    fresh.label_ids, fresh.test_ids, fresh.test_labels = list(label_ids), ids, labels


def keep_trial(session: Session, experiment: Experiment, trial: Trial) -> None:
    """Keep what one training predicts; a job that was interrupted goes on behind it."""
    runs.guard(session, experiment)
    trial.experiment_id = experiment.id
    session.add(trial)


def trials(session: Session, experiment_id: int) -> list[Trial]:
    """Return all trainings of an experiment so far, in the order in which they ended."""
    query = sa.select(Trial).where(Trial.experiment_id == experiment_id).order_by(Trial.id)
    return list(session.scalars(query))


def with_test_rows(session: Session, experiment_id: int) -> Experiment:
    """Return an experiment with the test rows it was judged on."""
    get(session, experiment_id)
    rows = (undefer(Experiment.test_ids), undefer(Experiment.test_labels))
    return session.scalars(
        sa.select(Experiment)
        .where(Experiment.id == experiment_id)
        .options(*rows)
        .execution_options(populate_existing=True)
    ).one()


def earlier(session: Session, experiment: Experiment) -> Experiment | None:
    """Return the last finished experiment before this one whose test rows are known."""
    found = session.scalar(
        sa.select(Experiment.id)
        .where(
            Experiment.dataset_id == experiment.dataset_id,
            Experiment.id < experiment.id,
            Experiment.state == RunState.DONE,
            Experiment.test_ids.is_not(None),
        )
        .order_by(Experiment.id.desc())
        .limit(1)
    )
    return with_test_rows(session, found) if found is not None else None


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
