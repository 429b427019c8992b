"""An experiment: the same training on every variant, asked about the same test rows.

Each training is kept as it ends, so that an experiment that was interrupted goes on behind it.
"""

import platform
import shutil
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import __version__
from app.jobs.brought import embedder_of
from app.jobs.context import Context, Reporter
from app.jobs.durable import step, workflow
from app.models.columns import RunState
from app.models.experiments import Experiment, Trial
from app.queue import Job
from app.services.operation import runs
from app.services.proving import experiments
from app.services.proving.material import Material

if TYPE_CHECKING:
    from app.pipeline.experiment import Leaks, Task
    from app.pipeline.trainers.protocol import Trainer

LINEAR = "linear"


def _give_up(context: Context, experiment_id: int, state: RunState, error: str) -> None:
    with context.database.write() as session:
        runs.end(session, Experiment, experiment_id, state=state, error=error)
    shutil.rmtree(_folder(context, experiment_id), ignore_errors=True)


@workflow(Job.EXPERIMENT, Experiment, give_up=_give_up)
def compare_variants(experiment_id: int) -> None:
    """Run an experiment."""
    run(experiment_id)


@step(Experiment, "experiment.run")
def run(context: Context, experiment: Experiment) -> None:
    """Train every variant with every seed, keep what each model predicts, and sum it up."""
    report = Reporter(context, experiment)
    with context.database.read(snapshot=True) as session:
        material = experiments.read_material(session, experiment)
    _keep_test_rows(context, experiment, material)
    trainer = _trainer(context, experiment)
    task, leaks = _task(context, experiment, material, trainer)
    task.check()
    trainer.prepare(
        [*material.texts, *material.test.texts], on_progress=lambda done, total: report("embed", done, total)
    )
    _train(context, experiment, task, report)
    _finish(context, experiment, material, task, leaks)
    shutil.rmtree(task.folder, ignore_errors=True)


def _folder(context: Context, experiment_id: int) -> Path:
    return context.settings.home / "experiments" / str(experiment_id)


def _keep_test_rows(context: Context, experiment: Experiment, material: Material) -> None:
    from app.services.proving.experiment_results import pack_ids, pack_places

    with context.database.write() as session:
        experiments.keep_test_rows(
            session,
            experiment,
            label_ids=material.label_ids,
            ids=pack_ids(material.test.ids),
            labels=pack_places(material.test.labels),
        )


def _trainer(context: Context, experiment: Experiment) -> "Trainer":
    from app.pipeline.trainers.catalogue import Means, get_trainer

    means = Means(
        embedder=lambda name: embedder_of(context, name),
        cache_dir=context.settings.embeddings,
        threads=context.settings.threads or None,
    )
    return get_trainer(experiment.trainer, means, embedder=experiment.embedder)


def _task(
    context: Context, experiment: Experiment, material: Material, trainer: "Trainer"
) -> tuple["Task", "Leaks"]:
    import numpy as np

    from app.pipeline.experiment import Task, Variant, find_leaks, settings_for, without

    leaks = find_leaks(material.texts, material.test.texts)
    variants = {
        name: Variant(np.array(one.rows, dtype=np.int64), np.array(one.labels, dtype=np.int64))
        for name, one in material.sets.items()
    }
    if experiment.plan.get("leave_out_leaks"):
        variants = {name: without(variant, leaks.train) for name, variant in variants.items()}
    task = Task(
        trainer=trainer,
        label_names=material.labels,
        texts=material.texts,
        test_texts=material.test.texts,
        variants=variants,
        seeds=experiment.seeds,
        settings=settings_for(trainer, experiment.plan.get("settings", {})),
        folder=_folder(context, experiment.id),
    )
    return task, leaks


def _train(context: Context, experiment: Experiment, task: "Task", report: Reporter) -> None:
    from app.pipeline import experiment as pipeline
    from app.services.proving.experiment_results import pack_places, unpack_places

    with context.database.read() as session:
        kept = experiments.trials(session, experiment.id)
    place = [0, 0]

    def on_run(number: int, total: int) -> None:
        place[:] = number, total
        report("train", number - 1, total)

    def on_progress(done: int, total: int) -> None:
        if total > 1:  # a training of many steps tells of its own
            report(f"training {place[0]} of {place[1]}", done, total)

    done = {(trial.name, trial.seed): unpack_places(trial.predicted) for trial in kept}
    for found in pipeline.run(task, done=done, on_run=on_run, on_progress=on_progress):
        trial = Trial(
            name=found.name,
            seed=found.seed,
            rows=found.rows,
            predicted=pack_places(found.predicted),
            details=found.details,
        )
        with context.database.write() as session:
            experiments.keep_trial(session, experiment, trial)
        shutil.rmtree(task.folder / str(place[0]), ignore_errors=True)


def _finish(
    context: Context, experiment: Experiment, material: Material, task: "Task", leaks: "Leaks"
) -> None:
    from app.services.proving import experiment_results

    with context.database.read() as session:
        fresh = experiments.with_test_rows(session, experiment.id)
        found = experiment_results.summed_up(
            fresh, experiments.trials(session, experiment.id), labels=material.labels, seeds=fresh.seeds
        )
        since = experiment_results.since(experiments.earlier(session, fresh), fresh)
        actor = runs.requester(session, experiment)
    test = material.test
    results = {
        **found,
        "reviewed": material.reviewed,
        "test": {
            "rows": len(test.ids),
            "changed": test.changed,
            "excluded": test.excluded,
            "unlabelled": test.unlabelled,
            "since": since,
        },
        "leaks": {
            "test": leaks.test,
            "train": int(leaks.train.sum()),
            "left_out": bool(experiment.plan.get("leave_out_leaks")),
        },
        "settings": dict(task.settings),
        "versions": _versions(context, experiment, task.trainer),
    }
    with context.database.write() as session:
        experiments.finish(session, experiment, results, actor=actor)


def _versions(context: Context, experiment: Experiment, trainer: "Trainer") -> dict[str, Any]:
    found = {"setright": __version__, "python": platform.python_version()}
    for name in trainer.packages:
        with suppress(PackageNotFoundError):  # its files may come another way
            found[name] = package_version(name)
    if trainer.name == LINEAR:
        embedder = embedder_of(context, experiment.embedder)
        found["embedder"] = f"{embedder.name} {embedder.version}".strip()
    return found
