"""Texts to vectors: the protocol and the choice by name."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from app.errors import InvalidInput

DEFAULT_EMBEDDER = "use"


class Embedder(Protocol):
    """Turns texts into vectors.

    Attributes
    ----------
    name, version : str
        Together they name the vectors: a change of the vectors needs a new version.
    dimensions : int
    per_text : bool
        True when a text's vector depends on nothing but the text (and so may be cached); False when it
        depends on the other texts of the call.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    @property
    def per_text(self) -> bool: ...

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts.

        Parameters
        ----------
        texts : sequence of str
            Any strings, empty ones too.

        Returns
        -------
        float32 array (n_texts, dimensions)
            Rows have length 1.

        Raises
        ------
        Unavailable
            When the model cannot be loaded.
        """


def _use() -> Embedder:
    from app.providers.use_embedder import UseEmbedder  # noqa: PLC0415 — its weights load only where they are used

    return UseEmbedder()


def _tfidf() -> Embedder:
    from app.providers.tfidf_embedder import TfidfEmbedder  # noqa: PLC0415 — loads scikit-learn

    return TfidfEmbedder()


_EMBEDDERS: dict[str, Callable[[], Embedder]] = {"use": _use, "tfidf": _tfidf}


def embedder_names() -> tuple[str, ...]:
    """Return the names `get_embedder` knows, the default first."""
    return tuple(_EMBEDDERS)


def get_embedder(name: str) -> Embedder:
    """Return an embedder; its model is loaded at the first `embed` and kept for the process.

    Parameters
    ----------
    name : str
        One of `embedder_names()`.

    Raises
    ------
    InvalidInput
        When there is no such embedder; the sentence lists the names.
    """
    if name not in _EMBEDDERS:
        known = ", ".join(_EMBEDDERS)
        raise InvalidInput(f"There is no embedder called {name}; choose one of: {known}.")
    return _made(name)


@cache
def _made(name: str) -> Embedder:
    return _EMBEDDERS[name]()
