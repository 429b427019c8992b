"""The folds on a Dask cluster: every worker reads its blocks, and only sums and scores travel."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from app.errors import Unavailable
from app.science.crossval import Apply, Training, here

CONNECT_SECONDS = 10
# Blocks under way for each thread of the cluster: enough to keep it busy, few enough to bound memory here.
AHEAD = 2

Found = TypeVar("Found")


def apply_on(scheduler: str) -> Apply:
    """Return what works through blocks of rows: on the cluster of a scheduler, or in this process.

    Parameters
    ----------
    scheduler : str
        Address such as ``tcp://host:8786``; empty for this process.

    Returns
    -------
    Apply
        Raises Unavailable when it is used and Dask is not installed or the scheduler does not answer.
    """
    if not scheduler:
        return here

    def apply(
        work: Callable[[Training, slice], Found], training: Training, blocks: Iterable[slice], /
    ) -> Iterator[Found]:
        with _client(scheduler) as client:
            yield from _spread(client, work, training, blocks)

    return apply


def _client(scheduler: str) -> Any:
    try:
        import distributed  # noqa: PLC0415 — an optional extra
    except ImportError:
        raise Unavailable(
            "SETRIGHT_DASK_SCHEDULER is set, but Dask is missing: pip install 'setright[dask]'."
        ) from None
    try:
        client: Any = distributed.Client  # the package has no types
        return client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise Unavailable(f"The Dask scheduler {scheduler} does not answer: {error}.") from None


def _spread(
    client: Any, work: Callable[[Training, slice], Found], training: Training, blocks: Iterable[slice]
) -> Iterator[Found]:
    shared = client.scatter(training, broadcast=True, hash=False)
    ahead = AHEAD * max(sum(client.nthreads().values()), 1)
    waiting: deque[Any] = deque()
    for block in blocks:
        waiting.append(client.submit(_on_one_thread, work, shared, block, pure=False))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _on_one_thread(work: Callable[[Training, slice], Found], training: Training, block: slice) -> Found:
    with threadpool_limits(1, user_api="blas"):  # the cluster's own threads are busy with other blocks
        return work(training, block)
