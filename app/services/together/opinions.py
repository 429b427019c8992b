"""What a verdict means for a second opinion: whether one is wanted, and whether two agree."""

from hashlib import blake2b

from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.errors import Conflict
from app.languages import _
from app.models.datasets import Dataset
from app.models.examples import ExampleState
from app.models.review import Decision
from app.models.together import OpinionState, SecondOpinion
from app.services import datasets


def is_drawn(example_id: int, *, share: float, seed: int) -> bool:
    """Say whether a row is among the share that is decided twice; the same for ever for one seed."""
    digest = blake2b(f"{seed}:{example_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64


def after_decision(
    session: Session,
    dataset: Dataset,
    opinion: SecondOpinion | None,
    decision: Decision,
    *,
    actor: Actor,
) -> None:
    """Ask for a second opinion on a row, bring one up to date, or note that somebody has settled it."""
    if opinion is None:
        share, seed = dataset.second_share, dataset.second_seed
        if decision.new_state.is_resolved and is_drawn(decision.example_id, share=share, seed=seed):
            session.add(wanted(decision))
    elif opinion.state is OpinionState.WAITING:
        if decision.new_state.is_resolved:
            _set_first(opinion, decision)
        else:
            session.delete(opinion)
    elif actor.user_id == opinion.first_user_id and opinion.state is not OpinionState.SETTLED:
        _set_first(opinion, decision)
        compare(session, opinion)
    elif opinion.state is not OpinionState.WITHDRAWN:
        opinion.state, opinion.settled_decision_id = OpinionState.SETTLED, decision.id


def is_kept_from(opinion: SecondOpinion | None, *, actor: Actor) -> bool:
    """Say whether what the first person said of a row is kept from the actor."""
    if opinion is None or opinion.state is not OpinionState.WAITING:
        return False
    return opinion.first_user_id != actor.user_id and not actor.may(Role.LEAD, opinion.dataset_id)


def refuse_verdict(opinion: SecondOpinion | None, *, actor: Actor) -> None:
    """Raise where somebody decides about a row of which they may only give the second opinion."""
    if is_kept_from(opinion, actor=actor):
        raise Conflict(_("This row waits for a second opinion: give yours under Second opinions."))


def wanted(decision: Decision) -> SecondOpinion:
    """Return the wish for a second opinion about the row of a decision."""
    opinion = SecondOpinion(example_id=decision.example_id, dataset_id=decision.dataset_id)
    opinion.state = OpinionState.WAITING
    _set_first(opinion, decision)
    return opinion


def _set_first(opinion: SecondOpinion, decision: Decision) -> None:
    opinion.first_decision_id, opinion.first_user_id = decision.id, decision.user_id
    opinion.first_label_id, opinion.first_state = decision.new_label_id, decision.new_state


def after_undo(session: Session, opinion: SecondOpinion | None, undone: Decision) -> None:
    """Let go of a second opinion whose first was taken back, or open it again where that had settled it."""
    if opinion is None:
        return
    if undone.id == opinion.settled_decision_id:
        opinion.settled_decision_id = None
        compare(session, opinion)
    elif undone.id == opinion.first_decision_id:
        if opinion.state is OpinionState.WAITING:
            session.delete(opinion)
        else:
            opinion.state = OpinionState.WITHDRAWN


def compare(session: Session, opinion: SecondOpinion) -> None:
    """Write down whether the two opinions agree; a label may have been merged between them."""
    first = category(opinion.first_state, datasets.class_of(session, opinion.first_label_id))
    second = category(opinion.second_state, datasets.class_of(session, opinion.second_label_id))
    opinion.state = OpinionState.AGREED if first == second else OpinionState.DISAGREED


EXCLUDED, SET_ASIDE = -1, -2
"""What stands for a row's exclusion, and for setting it aside, beside the numbers of labels."""


def category(state: ExampleState | None, label_id: int | None) -> int:
    """Return what an opinion comes to: a label's number, or what stands for having none."""
    if state is ExampleState.EXCLUDED:
        return EXCLUDED
    if state is ExampleState.NEEDS_REVIEW or label_id is None:
        return SET_ASIDE
    return label_id
