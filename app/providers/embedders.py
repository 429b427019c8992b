"""The choice of an embedder by its name."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from app.config import Settings
from app.errors import InvalidInput, Unavailable
from app.providers.addresses import Reach
from app.providers.catalogue import FILE, check_name, embedder_names, openai_model
from app.providers.embedding import Embedder

if TYPE_CHECKING:
    from app.providers.openai_embedder import OpenAIAccess

DEFAULT_EMBEDDER = "use"

__all__ = ["DEFAULT_EMBEDDER", "Embedder", "EmbedderOptions", "embedder_names", "get_embedder", "options_of"]


@dataclass(frozen=True)
class EmbedderOptions:
    """What embedders are told besides their name: threads of the local ones, and the service."""

    threads: int | None = None
    openai: "OpenAIAccess | None" = None


def options_of(settings: Settings, *, name: str) -> EmbedderOptions:
    """Return what the settings say to the embedder of this name."""
    threads = settings.threads or None
    if openai_model(name) is None:
        return EmbedderOptions(threads)
    from app.providers.openai_embedder import OpenAIAccess  # noqa: PLC0415 — loads the client, seldom needed

    access = OpenAIAccess(
        api_key=settings.openai_api_key,
        base_url=settings.openai_base_url,
        concurrency=settings.openai_embedding_concurrency,
        requests_per_minute=settings.openai_embedding_requests_per_minute,
        input_bytes=settings.openai_embedding_input_tokens,
        reach=Reach(settings.reach),
    )
    return EmbedderOptions(threads, access)


def get_embedder(name: str, options: EmbedderOptions | None = None) -> Embedder:
    """Return an embedder; its model is loaded at the first `embed` and kept for the process.

    Parameters
    ----------
    name : str
        One of `embedder_names()`, `openai:MODEL` or `file`.
    options : EmbedderOptions, optional
        As `options_of` gives them; those who ask a service need them.

    Raises
    ------
    InvalidInput
        When there is no such embedder; the sentence lists the names.
    Unavailable
        When it is one of a service and nothing says how to reach it.
    """
    check_name(name)
    chosen = options or EmbedderOptions()
    model = openai_model(name)
    if model is None:
        return _local(name, chosen.threads)
    if chosen.openai is None:
        raise Unavailable(f"{name} needs the address of a service.")
    from app.providers.openai_embedder import OpenAIEmbedder  # noqa: PLC0415 — loads the client, seldom needed

    return OpenAIEmbedder(model, chosen.openai)


@cache
def _local(name: str, threads: int | None) -> Embedder:
    match name:  # each imports what it needs, where it is needed
        case "use":
            from app.providers.use_embedder import UseEmbedder  # noqa: PLC0415

            return UseEmbedder(threads=threads)
        case "use+minilm":
            from app.providers.minilm_embedder import UseMiniLMEmbedder  # noqa: PLC0415

            return UseMiniLMEmbedder(threads=threads)
        case "static":
            from app.providers.static_embedder import StaticEmbedder  # noqa: PLC0415

            return StaticEmbedder()
        case "tfidf":
            from app.providers.tfidf_embedder import TfidfEmbedder  # noqa: PLC0415

            return TfidfEmbedder()
        case _:
            return FileEmbedder()


class FileEmbedder:
    """Stands for vectors that come from a person's own file: it has none for any other text."""

    name = FILE
    version = ""
    dimensions = None
    per_text = False

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:  # noqa: ARG002 — the protocol's
        """Refuse."""
        raise InvalidInput("The embedder file needs a file of embeddings: name one.")
