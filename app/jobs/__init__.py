"""Durable jobs. Importing this package registers every workflow with DBOS."""

from app.jobs import batches, deleting, experiments, exports, fine_tunes, imports, learning, scoring

__all__ = ["batches", "deleting", "experiments", "exports", "fine_tunes", "imports", "learning", "scoring"]
