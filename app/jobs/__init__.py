"""Durable jobs. Importing this package registers every workflow with DBOS."""

from app.jobs import (
    assignments,
    batches,
    column_changes,
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
    webhooks,
)

__all__ = [
    "assignments",
    "batches",
    "column_changes",
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
    "webhooks",
]
