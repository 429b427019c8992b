"""What can happen, by name, and the one way to write it down."""

from typing import Any

from sqlalchemy.orm import Session

from app.actor import Actor
from app.languages import N_, _
from app.models.events import Event

NAMES = {
    "dataset.created": N_("An import made a dataset."),
    "dataset.renamed": N_("A dataset got another name."),
    "dataset.deleted": N_("A dataset was deleted with everything in it."),
    "import.requested": N_("A file was confirmed and waits to be imported."),
    "import.finished": N_("A file's rows became part of the dataset."),
    "import.failed": N_("A file could not be imported; nothing of it was kept."),
    "import.cancelled": N_("An import was stopped; nothing of it was kept."),
    "scoring.requested": N_("A scoring run was asked for."),
    "scoring.finished": N_("A scoring run became the dataset's current one."),
    "scoring.failed": N_("A scoring run ended without scores."),
    "scoring.cancelled": N_("A scoring run was stopped."),
    "review.decided": N_("A person gave a verdict on an example."),
    "review.decided_in_bulk": N_("A program gave verdicts on many examples in one call."),
    "review.undone": N_("A person took back a verdict."),
    "review.sampled": N_("Rows that an auto-fix would change were drawn at random, to be reviewed first."),
    "lease.broken": N_("A lead ended somebody's lease of a row, so that others can decide it."),
    "column_change.requested": N_("Other columns to filter by were chosen."),
    "column_change.finished": N_("The columns to filter by were changed."),
    "column_change.failed": N_(
        "Changing the columns to filter by ended; those that were not whole are gone."
    ),
    "column_change.cancelled": N_(
        "Changing the columns to filter by was stopped; those that were not whole are gone."
    ),
    "assignment.requested": N_("Open rows were to be given to people, or taken back from one."),
    "assignment.finished": N_("Open rows were given to people, or taken back from one."),
    "assignment.failed": N_("Giving rows to people ended before its last row."),
    "assignment.cancelled": N_("Giving rows to people was stopped; rows that were given stay so."),
    "second_opinion.planned": N_("A share of the decided rows was chosen for a second opinion."),
    "second_opinion.given": N_("A person gave a second opinion on a row without seeing the first."),
    "second_opinion.settled": N_("A person settled a disagreement between two opinions."),
    "learning.failed": N_(
        "The queue could not be put in a new order after decisions; it keeps the one it had."
    ),
    "learning.cancelled": N_("Putting the queue in a new order was stopped."),
    "label.added": N_("A class was added."),
    "label.renamed": N_("A class got another name."),
    "label.described": N_("A class got another description or colour."),
    "label.deleted": N_("A class without rows was taken out of use."),
    "label.merged": N_("A class became part of another one."),
    "batch.requested": N_("A bulk action was confirmed."),
    "batch.finished": N_("A bulk action was applied."),
    "batch.failed": N_("A bulk action stopped before its end."),
    "batch.cancelled": N_(
        "A bulk action was stopped by a person; what it had changed stays and can be undone."
    ),
    "batch.undo_requested": N_("Somebody asked to take a bulk action back."),
    "batch.undone": N_("A bulk action was taken back."),
    "version.created": N_("A state of the labels was frozen under a name."),
    "export.requested": N_("A file of a version was asked for."),
    "export.finished": N_("A file of a version was written."),
    "export.failed": N_("A file of a version could not be written."),
    "export.cancelled": N_("Writing a file of a version was stopped."),
    "experiment.requested": N_("A comparison of variants was asked for."),
    "experiment.finished": N_("A comparison of variants has its results."),
    "experiment.failed": N_("A comparison of variants could not be made."),
    "experiment.cancelled": N_("A comparison of variants was stopped."),
    "experiment.model_added": N_("Another model's answers joined a comparison."),
    "test_split.requested": N_("A test split was to be drawn from the train rows."),
    "fine_tune.requested": N_("A fine-tune was started from an export."),
    "fine_tune.finished": N_("A fine-tune ended with a model."),
    "fine_tune.failed": N_("A fine-tune failed or was refused."),
    "fine_tune.cancelled": N_("A fine-tune was stopped."),
    "model_test.requested": N_("A model was to be asked for every test row."),
    "model_test.finished": N_("A model was asked for every test row."),
    "model_test.failed": N_("Asking a model for the test rows ended before its last row."),
    "model_test.cancelled": N_("Asking a model for the test rows was stopped."),
    "provider.added": N_("A service for fine-tunes was added."),
    "provider.changed": N_("A service for fine-tunes got another address, key or price."),
    "provider.removed": N_("A service for fine-tunes was removed with its key."),
    "training_file.uploaded": N_("A client of our server of OpenAI's API sent a file."),
    "training_file.deleted": N_("A client deleted a file."),
    "training_job.requested": N_("A client asked for a training on this machine."),
    "training_job.finished": N_("A training on this machine ended with a model."),
    "training_job.failed": N_("A training on this machine failed."),
    "training_job.cancelled": N_("A training on this machine was stopped."),
    "trained_model.deleted": N_("A model that was trained here was deleted."),
    "webhook.added": N_("An address is told of events from now on."),
    "webhook.changed": N_("A webhook got another address, other events or another secret, or was paused."),
    "webhook.removed": N_("A webhook was removed."),
    "user.created": N_("Somebody got a login."),
    "user.changed": N_("Somebody's role or state changed."),
    "user.password_set": N_("Somebody's password was set."),
    "user.signed_in": N_("Somebody signed in."),
    "user.signed_out": N_("Somebody signed out."),
    "session.ended": N_("Logins of somebody were ended, one or all of them."),
    "link.created": N_("A link was made that signs somebody in once."),
    "access.changed": N_("Somebody got another role in one dataset, or the one they have elsewhere again."),
    "token.created": N_("A token was made."),
    "token.revoked": N_("A token was revoked."),
}
"""Every event that can be recorded, and what it means."""


def meanings() -> dict[str, str]:
    """Return what every event means, in the language of the request."""
    return {name: _(meaning) for name, meaning in NAMES.items()}


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
