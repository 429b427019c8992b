"""The tables. Importing this package registers all of them with `Base.metadata`."""

from app.models.answers import KeptAnswer
from app.models.datasets import Counter, Dataset, Label, LabelRename
from app.models.events import Event
from app.models.evidence import Evidence, Finding
from app.models.examples import Example
from app.models.experiments import Experiment, Trial
from app.models.exports import Export
from app.models.fine_tunes import FineTune
from app.models.imports import Import, ImportMatch, RejectedRow
from app.models.learning import FrontRow, Learning
from app.models.metadata import ColumnChange, MetadataColumn, MetadataValue
from app.models.model_tests import ModelAnswer, ModelTest
from app.models.openai_api import ApiFile, TrainedModel, TrainingJob
from app.models.people import DatasetRole, LoginSession, SignInLink, Token, User
from app.models.predictions import PredictionPart
from app.models.progress import Progress
from app.models.providers import Provider
from app.models.review import Batch, Decision
from app.models.samples import Sample, SampleRow
from app.models.scoring import Score, ScoringRun
from app.models.together import AssignedRow, Assignment, Lease, Presence, SecondOpinion
from app.models.versions import Version
from app.models.views import Preference, SavedView
from app.models.webhooks import Delivery, Webhook
from app.models.workers import Worker

__all__ = [
    "ApiFile",
    "AssignedRow",
    "Assignment",
    "Batch",
    "ColumnChange",
    "Counter",
    "Dataset",
    "DatasetRole",
    "Decision",
    "Delivery",
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
    "KeptAnswer",
    "Label",
    "LabelRename",
    "Learning",
    "Lease",
    "LoginSession",
    "MetadataColumn",
    "MetadataValue",
    "ModelAnswer",
    "ModelTest",
    "PredictionPart",
    "Preference",
    "Presence",
    "Progress",
    "Provider",
    "RejectedRow",
    "Sample",
    "SampleRow",
    "SavedView",
    "Score",
    "ScoringRun",
    "SecondOpinion",
    "SignInLink",
    "Token",
    "TrainedModel",
    "TrainingJob",
    "Trial",
    "User",
    "Version",
    "Webhook",
    "Worker",
]
