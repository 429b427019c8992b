"""A file in, the same file with judged labels out; no database, no server."""

import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from app.errors import InvalidInput, NotFound
from app.files.rows import Layout, Limits
from app.files.values import to_text
from app.pipeline.audit_reading import AuditInput, label_names, read_input
from app.pipeline.audit_writing import check_columns_free, write_audit, write_summary
from app.pipeline.scoring import FOLDS, OnProgress, Scoring, score
from app.providers.embedders import DEFAULT_EMBEDDER, EmbedderOptions, get_embedder

if TYPE_CHECKING:
    from app.pipeline.brought import Brought

VERSIONED = ("setright", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True)
class AuditOptions:
    """What may be chosen; a column that is None is guessed, `labels` is a file with one label a line."""

    text: str | None = None
    label: str | None = None
    id: str | None = None
    embedder: str = DEFAULT_EMBEDDER
    embedder_options: EmbedderOptions | None = None
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
    embedder = get_embedder(options.embedder, options.embedder_options)
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
    pred_probs, embeddings = _brought(options, data, names)
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
    warnings = (*data.warnings, *scoring.warnings, *_doubts(options, data, scoring, given, number))
    return AuditSummary(values, out, warnings, scoring.advice.reason)


def _check_targets(path: Path, targets: tuple[Path | None, ...]) -> None:
    for target in targets:
        if target is None:
            continue
        if target.resolve() == path.resolve():
            raise InvalidInput(f"{target} is the input itself; choose another output file.")
        if not target.parent.is_dir():
            raise NotFound(f"There is no folder {target.parent} to write {target.name} to.")


def _brought(
    options: AuditOptions, data: AuditInput, names: tuple[str, ...]
) -> tuple[npt.NDArray[np.generic] | None, npt.NDArray[np.generic] | None]:
    """Load arrays with a row for each used row, found by its id, or its place among the used or all rows."""
    if options.pred_probs is None and options.embeddings is None:
        return None, None
    from app.pipeline.brought import embeddings_of, pred_probs_of  # noqa: PLC0415 — loads Arrow

    pred_probs = embeddings = None

    def ids() -> list[str]:
        column = options.id or "id"
        has_ids = column in data.columns
        return [to_text(data.rows[row].get(column)) or "" for row in data.used] if has_ids else []

    if options.pred_probs is not None:
        file, places = _file(options.pred_probs, options, data)
        pred_probs = pred_probs_of(file, labels=names, ids=ids, n_rows=len(data.used), places=places)
    if options.embeddings is not None:
        file, places = _file(options.embeddings, options, data)
        embeddings = embeddings_of(file, ids=ids, n_rows=len(data.used), places=places)
    return pred_probs, embeddings


def _file(path: Path, options: AuditOptions, data: AuditInput) -> tuple["Brought", list[int] | None]:
    """Read a file; where it has rows for unusable rows too, say which of its rows the used ones are."""
    from app.pipeline.arrays import check_rows  # noqa: PLC0415 — loads Arrow
    from app.pipeline.brought import ID_COLUMNS, read_brought  # noqa: PLC0415 — loads Arrow

    file = read_brought(path, id_columns={*ID_COLUMNS, options.id or ID_COLUMNS[0]})
    if file.ids is None:
        check_rows(file.values, allowed={len(data.rows), len(data.used)}, name=path.name)
    is_of_all = file.ids is None and len(file.values) != len(data.used)
    return file, data.used if is_of_all else None


def _doubts(
    options: AuditOptions, data: AuditInput, scoring: Scoring, given: list[str], number: dict[str, int]
) -> tuple[str, ...]:
    if options.pred_probs is None and options.embeddings is None:
        return ()
    from app.pipeline.in_sample import in_sample_warnings  # noqa: PLC0415 — seldom needed

    return in_sample_warnings(
        np.array([number[name] for name in given], dtype=np.int64),
        scoring.pred_probs,
        lambda rows: [data.texts[row] for row in rows],
        what="embeddings" if options.pred_probs is None else "probabilities",
    )


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
