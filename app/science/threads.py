"""How many threads the matrix products may use. numpy only."""

# Two BLAS threads on a busy machine once turned .4 s into 58 s on 1,916 rows.
ROWS_FOR_MORE_THREADS = 50_000


def blas_threads(n_examples: int) -> int | None:
    """Return the bound on BLAS threads for so many rows: 1, or None (no bound) for large data."""
    return 1 if n_examples < ROWS_FOR_MORE_THREADS else None
