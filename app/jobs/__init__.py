"""Durable jobs. Importing this package registers every workflow with DBOS."""

from app.jobs import (
    batches,
    deleting,
    embedding,
    experiments,
    exports,
    fine_tunes,
    imports,
    indexing,
    late_evidence,
    learning,
    model_tests,
    scoring,
    training_jobs,
)

__all__ = [
    "batches",
    "deleting",
    "embedding",
    "experiments",
    "exports",
    "fine_tunes",
    "imports",
    "indexing",
    "late_evidence",
    "learning",
    "model_tests",
    "scoring",
    "training_jobs",
]
