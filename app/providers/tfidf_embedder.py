"""Words and character runs counted and compressed: no weights, weak on tone, fine on topics."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

DIMENSIONS = 256
# A word, or any other visible character: texts of nothing but emoji still have tokens.
WORD_OR_SIGN = r"\w+|[^\w\s]"


class TfidfEmbedder:
    """Embed with TF-IDF over words and characters, compressed by a truncated SVD (latent semantic analysis).

    The vectors depend on all texts of the call, so they cannot be cached by text.
    """

    name = "tfidf"
    version = "1"
    dimensions = DIMENSIONS
    per_text = False

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts; see `Embedder.embed`.

        Parameters
        ----------
        texts : sequence of str
            From one text up; blank texts get a fixed vector.

        Returns
        -------
        float32 array (n_texts, 256)
            Rows have length 1; columns beyond the rank of the corpus are 0.
        """
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        if any(text.strip() for text in texts):
            counts = _counts(texts)
            with threadpool_limits(1, user_api="blas"):
                left, strength, _ = randomized_svd(counts, min(DIMENSIONS, *counts.shape), random_state=0)
            vectors[:, : len(strength)] = left * strength
        blank = np.linalg.norm(vectors, axis=1) == 0
        vectors[blank, 0] = 1
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def _counts(texts: Sequence[str]) -> csr_matrix:
    words = TfidfVectorizer(
        token_pattern=WORD_OR_SIGN, ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32
    )
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, dtype=np.float32)
    return csr_matrix(hstack([words.fit_transform(texts), characters.fit_transform(texts)]))
