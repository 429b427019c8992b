"""A tested model joins the last experiment, where it was asked about the very rows of that one.

Only workers load this: it needs scipy.
"""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.models.columns import RunState
from app.models.experiments import Experiment
from app.models.model_tests import ModelTest
from app.services.labelling import label_names
from app.services.proving import experiment_results, experiments, model_tests
from app.services.proving.experiment_results import MAX_MODEL_NAME, OtherModel, unpack_ids
from app.services.versioning import versions


def join_last_experiment(session: Session, test: ModelTest, *, actor: Actor) -> int | None:
    """Add a test's answers to the newest finished experiment; return its number.

    Nothing is added where that has other test rows, or for somebody whose role was lowered meanwhile.
    """
    if not actor.may(Role.LEAD, test.dataset_id):
        return None
    experiment = session.scalar(
        sa.select(Experiment)
        .where(Experiment.dataset_id == test.dataset_id, Experiment.state == RunState.DONE)
        .order_by(Experiment.id.desc())
        .limit(1)
    )
    if experiment is None:
        return None
    experiment = experiments.with_test_rows(session, experiment.id)
    answers = model_tests.read_answers(session, test.id)
    if experiment.test_ids is None or not set(unpack_ids(experiment.test_ids).tolist()) <= answers.keys():
        return None
    names = label_names.names_at(session, versions.get(session, experiment.version_id))
    model = OtherModel(
        name=test.model[-MAX_MODEL_NAME:],
        answers={row: names.get(one) if one is not None else None for row, one in answers.items()},
        details={
            "provider": test.provider,
            "model_test": test.id,
            "input_tokens": test.input_tokens,
            "output_tokens": test.output_tokens,
        },
    )
    experiment_results.add_model(session, experiment.id, model, actor=actor)
    return experiment.id
