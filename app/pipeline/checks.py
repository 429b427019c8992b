"""Can these texts and labels be scored at all? Asked before anything is computed."""

import numpy as np
import numpy.typing as npt

from app.errors import InvalidInput


def check_scorable(
    n_texts: int,
    labels: npt.NDArray[np.int64],
    *,
    n_classes: int,
    folds: int,
    groups: npt.NDArray[np.int64],
) -> None:
    """Refuse what no classifier can learn from.

    Raises
    ------
    InvalidInput
        When lengths differ, a label is out of range, there are fewer than two rows, one class only, all
        texts are equal or fewer than two folds are asked for.
    """
    if n_texts != len(labels):
        raise InvalidInput(f"There are {n_texts} texts but {len(labels)} labels.")
    if len(labels) <= 1:
        raise InvalidInput(
            f"Scoring needs at least two rows with a text and a label; there are {len(labels)}."
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        raise InvalidInput(f"Label numbers must be 0 to {n_classes - 1}.")
    if labels.min() == labels.max():
        raise InvalidInput("All rows have the same label; scoring needs at least two different labels.")
    if groups.max() == 0:
        raise InvalidInput("All rows have the same text; scoring needs at least two different texts.")
    if folds <= 1:
        raise InvalidInput(f"Cross-validation needs at least 2 folds; {folds} were asked for.")


def rare_class_warnings(labels: npt.NDArray[np.int64], *, n_classes: int) -> tuple[str, ...]:
    """Say which classes have too few rows to be judged."""
    counts = np.bincount(labels, minlength=n_classes)
    lonely = int((counts == 1).sum())
    empty = int((counts == 0).sum())
    warnings = []
    if lonely:
        some = "1 label has" if lonely == 1 else f"{lonely} labels have"
        warnings.append(f"{some} a single row: nothing can be learned about it, so it is never suggested.")
    if empty:
        some = "1 label has" if empty == 1 else f"{empty} labels have"
        warnings.append(f"{some} no row: it is never suggested.")
    return tuple(warnings)
