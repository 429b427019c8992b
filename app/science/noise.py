"""How sure the estimated noise is. numpy only."""

from app.science.evaluation import wilson_interval


def noise_interval(issues: int, rows: int) -> tuple[float, float] | None:
    """Return the 95% interval of the share of wrong labels.

    Parameters
    ----------
    issues : int
        Rows flagged by confident learning.
    rows : int
        Rows it judged, at least as many.

    Returns
    -------
    tuple of float or None
        Low and high end in [0, 1]; None without rows.

    Notes
    -----
    Wilson's interval of the flagged share. It says how much the share would differ had other rows been
    drawn from the same source: drawing the rows of politeness 200 times with replacement, and counting the
    confident joint anew each time, gives an interval of the same width. It does not cover a model that is
    wrong about a whole class; only decided rows can tell.
    """
    return wilson_interval(issues, rows) if rows else None
