"""The tables. Importing this package registers all of them with `Base.metadata`."""

from app.models.datasets import Counter, Dataset, Label, LabelRename
from app.models.events import Event
from app.models.evidence import Evidence, Finding
from app.models.examples import Example
from app.models.experiments import Experiment
from app.models.exports import Export
from app.models.fine_tunes import FineTune
from app.models.imports import Import, ImportMatch, RejectedRow
from app.models.learning import FrontRow, Learning
from app.models.metadata import MetadataColumn, MetadataValue
from app.models.people import LoginSession, Token, User
from app.models.review import Batch, Decision
from app.models.samples import Sample, SampleRow
from app.models.scoring import Score, ScoringRun
from app.models.versions import Version
from app.models.views import Preference, SavedView
from app.models.workers import Worker

__all__ = [
    "Batch",
    "Counter",
    "Dataset",
    "Decision",
    "Event",
    "Evidence",
    "Example",
    "Experiment",
    "Export",
    "Finding",
    "FineTune",
    "FrontRow",
    "Import",
    "ImportMatch",
    "Label",
    "LabelRename",
    "Learning",
    "LoginSession",
    "MetadataColumn",
    "MetadataValue",
    "Preference",
    "RejectedRow",
    "Sample",
    "SampleRow",
    "SavedView",
    "Score",
    "ScoringRun",
    "Token",
    "User",
    "Version",
    "Worker",
]
