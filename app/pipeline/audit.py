"""A file in, the same file with judged labels out; no database, no server."""

import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np
import numpy.typing as npt

from app.errors import InvalidInput, NotFound
from app.files.rows import Layout, Limits
from app.pipeline.audit_reading import AuditInput, label_names, read_input
from app.pipeline.audit_writing import check_columns_free, write_audit, write_summary
from app.pipeline.scoring import FOLDS, OnProgress, Scoring, score
from app.providers.embedders import DEFAULT_EMBEDDER, get_embedder

VERSIONED = ("setright", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True)
class AuditOptions:
    """What may be chosen; a column that is None is guessed, `labels` is a file with one label a line."""

    text: str | None = None
    label: str | None = None
    id: str | None = None
    embedder: str = DEFAULT_EMBEDDER
    pred_probs: Path | None = None
    embeddings: Path | None = None
    labels: Path | None = None
    out: Path | None = None
    summary: Path | None = None
    seed: int = 0
    folds: int = FOLDS
    cache_dir: Path | None = None
    layout: Layout | None = None
    limits: Limits = field(default_factory=Limits)
    on_progress: OnProgress | None = None


@dataclass(frozen=True)
class AuditSummary:
    """What an audit found.

    Attributes
    ----------
    values : dict
        What `--summary` holds: rows, rows_used, issues, autofix, estimated_noise (share in [0, 1]),
        labels (in column order), embedder, classifier, seconds, seed, versions.
    out : Path
        The CSV that was written.
    warnings : tuple of str
    autofix_reason : str
        Why the recommended auto-fix changes these rows, or none.
    """

    values: dict[str, Any]
    out: Path
    warnings: tuple[str, ...]
    autofix_reason: str


def audit(path: Path, *, options: AuditOptions) -> AuditSummary:
    """Judge every label of a file and write the file again with the judgement beside it.

    Parameters
    ----------
    path : Path
        Any format that can be imported.
    options : AuditOptions

    Returns
    -------
    AuditSummary

    Raises
    ------
    NotFound
        When a file is missing.
    InvalidInput
        When a column is missing or called like one of the output, or the rows cannot be scored.
    Unavailable
        When the embedder cannot be loaded.
    """
    started = time.perf_counter()
    out = options.out or Path(f"{path}.audit.csv")
    _check_targets(path, (out, options.summary))
    embedder = get_embedder(options.embedder)
    data = read_input(
        path,
        text=options.text,
        label=options.label,
        id_column=options.id,
        layout=options.layout,
        limits=options.limits,
    )
    check_columns_free(data.columns)
    given = [data.given[row] for row in data.used]
    names = label_names(set(given), options.labels)
    number = {name: index for index, name in enumerate(names)}
    pred_probs, embeddings = _brought(options.pred_probs, data), _brought(options.embeddings, data)
    read = time.perf_counter()
    scoring = score(
        data.texts,
        np.array([number[name] for name in given], dtype=np.int64),
        n_classes=len(names),
        embedder=embedder,
        cache_dir=options.cache_dir,
        seed=options.seed,
        folds=options.folds,
        pred_probs=pred_probs,
        embeddings=embeddings,
        on_progress=options.on_progress,
    )
    scored = time.perf_counter()
    write_audit(out, data, names, scoring)
    ended = time.perf_counter()
    seconds = {"read": read - started, **scoring.seconds, "write": ended - scored, "total": ended - started}
    values = _values(data, names, scoring, seconds=seconds, seed=options.seed)
    if options.summary:
        write_summary(options.summary, values)
    return AuditSummary(values, out, (*data.warnings, *scoring.warnings), scoring.advice.reason)


def _check_targets(path: Path, targets: tuple[Path | None, ...]) -> None:
    for target in targets:
        if target is None:
            continue
        if target.resolve() == path.resolve():
            raise InvalidInput(f"{target} is the input itself; choose another output file.")
        if not target.parent.is_dir():
            raise NotFound(f"There is no folder {target.parent} to write {target.name} to.")


def _brought(path: Path | None, data: AuditInput) -> npt.NDArray[np.generic] | None:
    """Load an array with one row a used row, or one a row of the file, of which the used ones are taken."""
    if path is None:
        return None
    from app.pipeline.arrays import check_rows, load_array  # noqa: PLC0415 — loads pyarrow

    array = load_array(path)
    check_rows(array, allowed={len(data.rows), len(data.used)}, name=path.name)
    return array if len(array) == len(data.used) else array[data.used]


def _values(
    data: AuditInput,
    names: tuple[str, ...],
    scoring: Scoring,
    *,
    seconds: dict[str, float],
    seed: int,
) -> dict[str, Any]:
    return {
        "rows": len(data.rows),
        "rows_used": len(data.used),
        "issues": int(scoring.issues.is_issue.sum()),
        "autofix": int(scoring.advice.mask.sum()),
        "estimated_noise": round(scoring.issues.estimated_noise, 6),
        "labels": list(names),
        "embedder": scoring.embedder,
        "classifier": scoring.classifier,
        "seconds": {phase: round(value, 3) for phase, value in seconds.items()},
        "seed": seed,
        "versions": _versions(scoring),
    }


def _versions(scoring: Scoring) -> dict[str, str]:
    versions = {"python": python_version()}
    for package in VERSIONED:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # a checkout that is not installed
            continue
    if scoring.embedder_version:
        versions[f"embedder {scoring.embedder}"] = scoring.embedder_version
    return versions
