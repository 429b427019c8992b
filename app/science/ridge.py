"""Ridge regression onto the classes, refitted for every fold from one matrix of products."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# From hardly any penalty to a model of little more than the class means, for vectors 1 long on average.
PENALTIES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
FIRST_TRIED = 4
# Weight of a row falls with the frequency of its class, to the power 0.6 and at most twice the usual one.
PRIOR_POWER = 0.6
MOST_WEIGHT = 2.0

Float = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Frame:
    """How raw vectors become features: ``(vector - centre) / length``.

    Attributes
    ----------
    centre : float64 array (n_dimensions,)
    length : float
        Root mean square distance from the centre; 1 where all vectors are equal.
    """

    centre: Float
    length: float


@dataclass(frozen=True)
class Sums:
    """What a ridge needs to know about some rows; additive, so folds can be taken away again.

    Attributes
    ----------
    products : float64 array (n_dimensions + 1, n_dimensions + 1)
        Weighted features times features; the last feature is the constant 1.
    targets : float64 array (n_dimensions + 1, n_classes)
        Weighted features summed by class.
    """

    products: Float
    targets: Float

    def without(self, part: "Sums") -> "Sums":
        return Sums(self.products - part.products, self.targets - part.targets)


@dataclass(frozen=True)
class FoldFits:
    """A model for each fold that never saw the fold.

    Attributes
    ----------
    penalty : float
        One of PENALTIES: the first valley of the out-of-sample squared error.
    coefficients : tuple of float64 array (n_dimensions + 1, n_classes)
    """

    penalty: float
    coefficients: tuple[Float, ...]


@dataclass(frozen=True)
class Moments:
    """What a frame needs to know about some rows; additive.

    Attributes
    ----------
    total : float64 array (n_dimensions,)
        Sum of the rows.
    squares : float
        Sum of all squared numbers.
    """

    total: Float
    squares: float


def moments_of(embeddings: npt.NDArray[np.floating]) -> Moments:
    """Sum up rows.

    Parameters
    ----------
    embeddings : float array (n_examples, n_dimensions)

    Returns
    -------
    Moments
    """
    squares = float(np.einsum("ij,ij->", embeddings, embeddings, dtype=np.float64))
    return Moments(embeddings.sum(axis=0, dtype=np.float64), squares)


def frame_from(moments: Iterable[Moments], *, n_examples: int) -> Frame:
    """Centre and scale, so that a penalty means the same for any embedder.

    Parameters
    ----------
    moments : iterable of Moments
        Together of all rows.
    n_examples : int
        Above 0.

    Returns
    -------
    Frame

    Raises
    ------
    ValueError
        When a number is not finite.
    """
    parts = list(moments)
    squares = sum(part.squares for part in parts) / n_examples
    if not math.isfinite(squares):
        raise ValueError("embeddings hold a number that is not finite")
    centre: Float = sum((part.total for part in parts[1:]), start=parts[0].total) / n_examples
    length = max(squares - float(centre @ centre), 0.0) ** 0.5
    tiny = float(np.finfo(np.float32).eps) * squares**0.5
    return Frame(centre, length if length > tiny else 1.0)


def frame_of(embeddings: npt.NDArray[np.floating]) -> Frame:
    """Return the frame of rows in memory; see `frame_from`."""
    return frame_from([moments_of(embeddings)], n_examples=len(embeddings))


def features(embeddings: npt.NDArray[np.floating], frame: Frame) -> Vectors:
    """Return centred and scaled vectors with a last column of ones.

    Parameters
    ----------
    embeddings : float array (n_examples, n_dimensions)
    frame : Frame

    Returns
    -------
    float32 array (n_examples, n_dimensions + 1)
    """
    framed = np.ones((len(embeddings), embeddings.shape[1] + 1), dtype=np.float32)
    centre = frame.centre.astype(embeddings.dtype)
    np.subtract(embeddings, centre, out=framed[:, :-1], casting="same_kind")
    framed[:, :-1] /= frame.length
    return framed


def class_weights(labels: npt.NDArray[np.int64], *, n_classes: int) -> Vectors:
    """Return the weight of a row of each class: frequent classes count less than their number.

    Parameters
    ----------
    labels : int array (n_examples,)
    n_classes : int

    Returns
    -------
    float32 array (n_classes,)
        Rows weigh 1 on average; 0 for a class without rows.

    Notes
    -----
    Annotators in doubt choose the usual class, so that a model that follows the class frequencies agrees with
    their slips. Full balance overdoes it where a class is really rare; hence the power and the bound.
    """
    counts = np.bincount(labels, minlength=n_classes).astype(np.float64)
    usual = counts.sum() / np.count_nonzero(counts)
    relative = np.minimum((usual / np.maximum(counts, 1)) ** PRIOR_POWER, MOST_WEIGHT) * (counts > 0)
    weights: Vectors = (relative * counts.sum() / (relative @ counts)).astype(np.float32)
    return weights


def sums_of(framed: Vectors, labels: npt.NDArray[np.int64], weights: Vectors) -> Sums:
    """Sum up rows.

    Parameters
    ----------
    framed : float32 array (n_examples, n_features)
        From `features`.
    labels : int array (n_examples,)
    weights : float32 array (n_classes,)
        Of `class_weights`.

    Returns
    -------
    Sums
    """
    root = np.sqrt(weights[labels])
    carried = np.zeros((len(labels), len(weights)), dtype=np.float32)
    carried[np.arange(len(labels)), labels] = root
    scaled = framed * root[:, None]
    # The same array on both sides: half of the products are computed.
    return Sums((scaled.T @ scaled).astype(np.float64), (scaled.T @ carried).astype(np.float64))


def solve(sums: Sums, *, penalty: float) -> Float:
    """Fit; the constant is not penalised.

    Parameters
    ----------
    sums : Sums
        Of at least one row.
    penalty : float
        Above 0.

    Returns
    -------
    float64 array (n_features, n_classes)
    """
    penalised = sums.products.copy()
    diagonal = np.arange(len(penalised) - 1)
    penalised[diagonal, diagonal] += penalty
    # Half as much arithmetic would do for a symmetric matrix, but scipy takes longer to load than that saves.
    return np.linalg.solve(penalised, sums.targets).astype(np.float64, copy=False)


def fit_folds(total: Sums, parts: Sequence[Sums]) -> FoldFits:
    """Fit a model for every fold on the other folds, with the penalty that predicts the folds best.

    Parameters
    ----------
    total : Sums
        Of all rows.
    parts : sequence of Sums
        Of the folds; together they are the total.

    Returns
    -------
    FoldFits

    Notes
    -----
    The squared error of a fold follows from its sums alone, so that the choice costs the same for a thousand
    rows and for a million. The penalties are walked from the middle to the first valley.
    """
    tried: dict[int, tuple[float, list[Float]]] = {}
    others = [total.without(part) for part in parts]

    def error(at: int) -> float:
        if not 0 <= at < len(PENALTIES):
            return float("inf")
        if at not in tried:
            fits = [solve(other, penalty=PENALTIES[at]) for other in others]
            errors = [_squared_error(fit, part) for fit, part in zip(fits, parts, strict=True)]
            tried[at] = sum(errors), fits
        return tried[at][0]

    at = FIRST_TRIED
    step = 1 if error(at + 1) < error(at) else -1
    while error(at + step) < error(at):
        at += step
    return FoldFits(PENALTIES[at], tuple(tried[at][1]))


def _squared_error(coefficients: Float, held_out: Sums) -> float:
    """Of the held-out rows, up to the sum of their squared targets, which no model changes."""
    quadratic = np.vdot(coefficients, held_out.products @ coefficients)
    return float(quadratic - 2 * np.vdot(coefficients, held_out.targets))
