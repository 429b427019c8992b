"""What the API says of a file before a fine-tuning service sees it."""

from app.api.answers import Exact, Out


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
