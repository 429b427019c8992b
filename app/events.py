"""What can happen, by name, and the one way to write it down."""

from typing import Any

from sqlalchemy.orm import Session

from app.actor import Actor
from app.models.events import Event

NAMES = {
    "dataset.created": "An import made a dataset.",
    "dataset.renamed": "A dataset got another name.",
    "dataset.deleted": "A dataset was deleted with everything in it.",
    "import.requested": "A file was confirmed and waits to be imported.",
    "import.finished": "A file's rows became part of the dataset.",
    "import.failed": "A file could not be imported; nothing of it was kept.",
    "import.cancelled": "An import was stopped; nothing of it was kept.",
    "scoring.requested": "A scoring run was asked for.",
    "scoring.finished": "A scoring run became the dataset's current one.",
    "scoring.failed": "A scoring run ended without scores.",
    "scoring.cancelled": "A scoring run was stopped.",
    "review.decided": "A person gave a verdict on an example.",
    "review.decided_in_bulk": "A program gave verdicts on many examples in one call.",
    "review.undone": "A person took back a verdict.",
    "review.sampled": "Rows that an auto-fix would change were drawn at random, to be reviewed first.",
    "lease.broken": "A lead ended somebody's lease of a row, so that others can decide it.",
    "assignment.requested": "Open rows were to be given to people, or taken back from one.",
    "assignment.finished": "Open rows were given to people, or taken back from one.",
    "assignment.failed": "Giving rows to people ended before its last row.",
    "assignment.cancelled": "Giving rows to people was stopped; rows that were given stay so.",
    "second_opinion.planned": "A share of the decided rows was chosen for a second opinion.",
    "second_opinion.given": "A person gave a second opinion on a row without seeing the first.",
    "second_opinion.settled": "A person settled a disagreement between two opinions.",
    "learning.failed": "The queue could not be put in a new order after decisions; it keeps the one it had.",
    "learning.cancelled": "Putting the queue in a new order was stopped.",
    "label.added": "A class was added.",
    "label.renamed": "A class got another name.",
    "label.described": "A class got another description or colour.",
    "label.deleted": "A class without rows was taken out of use.",
    "label.merged": "A class became part of another one.",
    "batch.requested": "A bulk action was confirmed.",
    "batch.finished": "A bulk action was applied.",
    "batch.failed": "A bulk action stopped before its end.",
    "batch.cancelled": "A bulk action was stopped by a person; what it had changed stays and can be undone.",
    "batch.undo_requested": "Somebody asked to take a bulk action back.",
    "batch.undone": "A bulk action was taken back.",
    "version.created": "A state of the labels was frozen under a name.",
    "export.requested": "A file of a version was asked for.",
    "export.finished": "A file of a version was written.",
    "export.failed": "A file of a version could not be written.",
    "export.cancelled": "Writing a file of a version was stopped.",
    "experiment.requested": "A comparison of variants was asked for.",
    "experiment.finished": "A comparison of variants has its results.",
    "experiment.failed": "A comparison of variants could not be made.",
    "experiment.cancelled": "A comparison of variants was stopped.",
    "experiment.model_added": "Another model's answers joined a comparison.",
    "test_split.requested": "A test split was to be drawn from the train rows.",
    "fine_tune.requested": "A fine-tune was started from an export.",
    "fine_tune.finished": "A fine-tune ended with a model.",
    "fine_tune.failed": "A fine-tune failed or was refused.",
    "fine_tune.cancelled": "A fine-tune was stopped.",
    "model_test.requested": "A model was to be asked for every test row.",
    "model_test.finished": "A model was asked for every test row.",
    "model_test.failed": "Asking a model for the test rows ended before its last row.",
    "model_test.cancelled": "Asking a model for the test rows was stopped.",
    "provider.added": "A service for fine-tunes was added.",
    "provider.changed": "A service for fine-tunes got another address, key or price.",
    "provider.removed": "A service for fine-tunes was removed with its key.",
    "training_file.uploaded": "A client of our server of OpenAI's API sent a file.",
    "training_file.deleted": "A client deleted a file.",
    "training_job.requested": "A client asked for a training on this machine.",
    "training_job.finished": "A training on this machine ended with a model.",
    "training_job.failed": "A training on this machine failed.",
    "training_job.cancelled": "A training on this machine was stopped.",
    "trained_model.deleted": "A model that was trained here was deleted.",
    "webhook.added": "An address is told of events from now on.",
    "webhook.changed": "A webhook got another address, other events or another secret, or was paused.",
    "webhook.removed": "A webhook was removed.",
    "user.created": "Somebody got a login.",
    "user.changed": "Somebody's role or state changed.",
    "user.password_set": "Somebody's password was set.",
    "user.signed_in": "Somebody signed in.",
    "user.signed_out": "Somebody signed out.",
    "session.ended": "Logins of somebody were ended, one or all of them.",
    "link.created": "A link was made that signs somebody in once.",
    "access.changed": "Somebody got another role in one dataset, or the one they have elsewhere again.",
    "token.created": "A token was made.",
    "token.revoked": "A token was revoked.",
}
"""Every event that can be recorded, and what it means."""


def record(
    session: Session,
    name: str,
    *,
    actor: Actor,
    dataset_id: int | None = None,
    subject_id: int | None = None,
    old: Any = None,
    new: Any = None,
) -> None:
    """Add an event to the caller's transaction; a name that is not in `NAMES` is a mistake."""
    if name not in NAMES:
        raise KeyError(f"{name} is not an event of app/events.py")
    session.add(
        Event(
            name=name,
            actor_id=actor.user_id,
            actor_name=actor.name,
            dataset_id=dataset_id,
            subject_id=subject_id,
            old=old,
            new=new,
        )
    )
