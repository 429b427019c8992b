"""What a remote provider answered, in its own words."""

from app.errors import AppError, Unavailable


class ProviderRefused(AppError):
    """The provider said no; its words and request id are kept so that a person can ask it why.

    Attributes
    ----------
    code : str or None
        The provider's error code, for example `insufficient_quota`.
    request_id : str or None
        The provider's id of the request.
    status_there : int
        The HTTP status of its answer; 0 where that was no answer of the API.
    """

    status = 502

    def __init__(
        self, message: str, *, code: str | None = None, request_id: str | None = None, status_there: int = 0
    ) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id
        self.status_there = status_there


class ProviderBusy(Unavailable):
    """The provider asks to come back later.

    Attributes
    ----------
    retry_after : float or None
        Seconds to wait, where the provider says how many; never negative.
    was_refused : bool
        Whether it surely did nothing of what was asked; else that is not known.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, was_refused: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.was_refused = was_refused
