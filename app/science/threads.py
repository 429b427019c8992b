"""How many threads the matrix products may use. numpy only."""

import os

# Two BLAS threads on a busy machine once turned .4 s into 58 s on 1,916 rows.
ROWS_FOR_MORE_THREADS = 50_000
# Products a few hundred columns wide gain nothing from more.
MOST_THREADS = 8


def blas_threads(n_examples: int) -> int:
    """Return the bound on BLAS threads for so many rows: 1, or for large data one a core, at most 8."""
    if n_examples < ROWS_FOR_MORE_THREADS:
        return 1
    return min(len(os.sched_getaffinity(0)), MOST_THREADS)
