"""Checks: what a fine-tuning service would say of a file, before it is written."""

from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from app.api.answers import Exact, Out, answer
from app.api.deps import router_of
from app.api.exports import FileIn
from app.errors import InvalidInput
from app.services import checks, datasets, exports
from app.web.deps import CurrentSettings, Id, ReadSession

router = router_of("exports")


class CheckIn(FileIn):
    """Which file to check, and what a price is estimated for."""

    epochs: Annotated[int, Field(ge=1, le=checks.MOST_EPOCHS)] = checks.USUAL_EPOCHS
    """How often the service reads the file."""


class FaultOut(Out):
    """Something that a fine-tuning service would refuse, or take money for."""

    kind: str
    """What kind of fault."""
    is_blocking: bool
    """Whether a service refuses it; others are warnings."""
    file: str
    """`training` or `validation`."""
    line: int
    """Line of the file, from 1; 0 for the file as a whole."""
    row: Exact
    """The row's id."""
    what: Exact
    """What is wrong."""
    advice: str
    """What to do."""


class EstimateOut(Out):
    """What a file would cost with one model."""

    model: str
    """The model."""
    usd: float
    """Estimated price of training, in US dollars."""
    usd_per_million_tokens: float
    """The price it rests on."""
    as_of: str
    """The day of that price."""


class CheckOut(Out):
    """What a fine-tuning service would say of a file."""

    rows: int
    """Rows that were read."""
    is_whole: bool
    """Whether these are all rows; a written file is always checked whole."""
    blocking: int
    """Faults that a service refuses."""
    warnings: int
    """Faults that it would only charge for."""
    counts: dict[str, int]
    """Faults of each kind."""
    faults: list[FaultOut]
    """The faults, those that block first; at most 1,000 of each kind."""
    tokens: int
    """Tokens of the rows that were read, once."""
    tokenizer: str
    """What counted them."""
    is_bound: bool
    """Whether there are at most so many."""
    estimates: list[EstimateOut]
    """Prices by the table in use, the cheapest first; none unless all rows were read."""


@router.get(
    "/datasets/{dataset_id:int}/exports/check",
    name="api.exports.check",
    summary="Check a file for fine-tuning",
    response_model=CheckOut,
)
def check(
    dataset_id: Id, session: ReadSession, settings: CurrentSettings, query: Annotated[CheckIn, Query()]
) -> Response:
    """Say what a fine-tuning service would refuse or charge for; nothing is written or sent."""
    dataset = datasets.get(session, dataset_id)
    found = checks.preview(session, dataset, query.choices(session, dataset.id))
    if found is None:
        raise InvalidInput(f"Only {' and '.join(exports.CHAT_FORMATS)} are checked.")
    checked, table = found.checked, checks.price_table(settings.prices)
    estimates = checks.estimates(table, tokens=checked.tokens, epochs=query.epochs) if found.is_whole else ()
    return answer(
        CheckOut(
            rows=checked.rows,
            is_whole=found.is_whole,
            blocking=checked.blocking,
            warnings=checked.warnings,
            counts={kind.value: count for kind, count in checked.counts.items()},
            faults=[FaultOut.model_validate(one) for one in checked.faults],
            tokens=checked.tokens,
            tokenizer=checked.tokenizer,
            is_bound=checked.is_bound,
            estimates=[
                EstimateOut(
                    model=one.price.model,
                    usd=one.usd,
                    usd_per_million_tokens=one.price.usd_per_million_tokens,
                    as_of=one.price.as_of.isoformat(),
                )
                for one in estimates
            ],
        )
    )
