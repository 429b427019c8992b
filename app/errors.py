"""What can go wrong in a way a person can do something about. The sentence is what they read."""


class AppError(Exception):
    """An expected failure; its text is shown to the user as it is."""

    status = 400


class InvalidInput(AppError):
    """What was sent cannot be used: the sentence says what and where."""

    status = 422


class NotFound(AppError):
    """There is no such thing."""

    status = 404


class Conflict(AppError):
    """Somebody or something else was first."""

    status = 409


class Forbidden(AppError):
    """The actor's role does not allow this."""

    status = 403


class Unauthorized(AppError):
    """Nobody is signed in, or the token is not valid."""

    status = 401


class TooLarge(AppError):
    """A limit of the settings is exceeded: the sentence names the setting."""

    status = 413


class Unavailable(AppError):
    """Something this needs is not there now: a key, a worker, a remote service."""

    status = 503


class Cancelled(AppError):
    """A person asked the run to stop."""

    status = 409
