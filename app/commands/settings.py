"""Reading the settings, for commands that open nothing else."""

from app.config import Settings
from app.errors import InvalidInput
from app.providers.catalogue import embedder_names

EMBEDDER_HELP = f"What turns texts into vectors: {', '.join(embedder_names())} or openai:MODEL."


def read_settings() -> Settings:
    """Read the settings; a wrong one is named."""
    try:
        return Settings()
    except ValueError as error:
        raise InvalidInput(f"A setting is wrong: {error}") from None
