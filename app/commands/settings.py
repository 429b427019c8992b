"""Reading the settings, for commands that open nothing else."""

from pydantic import ValidationError

from app.config import Settings
from app.errors import InvalidInput
from app.providers.catalogue import embedder_names

EMBEDDER_HELP = f"What turns texts into vectors: {', '.join(embedder_names())} or openai:MODEL."


def read_settings() -> Settings:
    """Read the settings; a wrong one is named."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(_wrong(one["loc"], one["msg"]) for one in error.errors())
        raise InvalidInput(f"A setting is wrong: {wrong}.") from None
    except ValueError as error:
        raise InvalidInput(f"A setting is wrong: {error}") from None


def _wrong(place: tuple[int | str, ...], why: str) -> str:
    name = str(place[0]).upper()
    return f"{name if name.startswith('SETRIGHT_') else f'SETRIGHT_{name}'}: {why}"
