"""Whether two models differ on the rows that both were judged on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr


@dataclass(frozen=True)
class PairedTest:
    """Two models on the same test rows, row by row.

    Attributes
    ----------
    better, worse : int
        Rows that the second model got right more often, and less often, than the first.
    p_value : float
        How likely a split at least as uneven is where neither model is better, in [0, 1].
    """

    better: int
    worse: int
    p_value: float


def paired_test(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> PairedTest:
    """Test whether two models differ, on the rows that tell them apart (McNemar's exact test).

    Parameters
    ----------
    first, second : float array (n_examples,)
        How often each row was predicted right, in [0, 1]: the mean over the seeds. Every row counts once,
        however many seeds there are; with one seed this is McNemar's test, with several the sign test.

    Returns
    -------
    PairedTest

    Raises
    ------
    ValueError
        When the models were not judged on the same rows.

    References
    ----------
    McNemar (1947), Note on the sampling error of the difference between correlated proportions.
    """
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} rows cannot be paired with {len(second)}")
    better, worse = int((second > first).sum()), int((second < first).sum())
    tail = float(bdtr(min(better, worse), better + worse, 0.5)) if better + worse else 1.0
    return PairedTest(better, worse, min(1.0, 2 * tail))
