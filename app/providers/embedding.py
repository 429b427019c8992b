"""Texts to vectors: what any embedder must offer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt


class Embedder(Protocol):
    """Turns texts into vectors.

    Attributes
    ----------
    name, version : str
        Together they name the vectors: a change of the vectors needs a new version.
    dimensions : int or None
        None until the first answer of a service.
    per_text : bool
        True when a text's vector depends on nothing but the text (and so may be cached); False when it
        depends on the other texts of the call.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def dimensions(self) -> int | None: ...
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
            When the model cannot be loaded or reached.
        """


@dataclass(frozen=True)
class EmbeddedBatch:
    """Some texts' vectors.

    Attributes
    ----------
    rows : list of int
        Which texts of the call.
    vectors : float32 array (n_rows, dimensions)
    tokens : int
        What the service counted for it.
    """

    rows: list[int]
    vectors: npt.NDArray[np.float32]
    tokens: int


@runtime_checkable
class BatchingEmbedder(Protocol):
    """An embedder whose answers come in batches, which are worth keeping one by one."""

    def embed_in_batches(self, texts: Sequence[str]) -> Iterator[EmbeddedBatch]:
        """Yield each text once, in any order; what came before a failure is yielded before it is raised."""
