"""A BERT encoder with a classifier on top, as a function of named tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

HEAD = "classifier"
NOT_TRAINED = ("embeddings.position_ids", "pooler.")
"""Tensors of the file that the classifier has no use for: it pools by the mean."""


@dataclass(frozen=True)
class Shape:
    """What the tensors do not say themselves."""

    heads: int
    layers: int
    norm_epsilon: float = 1e-12


@dataclass(frozen=True)
class Batch:
    """Texts as token numbers, padded on the right; both int64 tensors (n_texts, longest)."""

    tokens: "Tensor"
    mask: "Tensor"


def logits(weights: Mapping[str, "Tensor"], batch: Batch, shape: Shape, *, dropout: float = 0.0) -> "Tensor":
    """Return the score of each label.

    Parameters
    ----------
    weights : mapping of name to tensor
        The encoder's, as its file names them, and `classifier.weight` (n_labels, n_hidden) and
        `classifier.bias` (n_labels,).
    batch : Batch
    shape : Shape
    dropout : float
        In [0, 1): the part of the numbers that is left out in training; 0 predicts.

    Returns
    -------
    float32 tensor (n_texts, n_labels)

    References
    ----------
    Devlin et al. (2019), BERT: pre-training of deep bidirectional transformers.
    """
    states = _embed(weights, batch, shape, dropout)
    seen = batch.mask.bool()[:, None, None, :]
    for layer in range(shape.layers):
        states = _layer(weights, f"encoder.layer.{layer}", states, seen, shape, dropout)
    counts = batch.mask.sum(dim=1, keepdim=True).clamp(min=1)
    pooled = (states * batch.mask[:, :, None]).sum(dim=1) / counts
    return _dense(weights, HEAD, functional.dropout(pooled, dropout, training=dropout > 0))


def _embed(weights: Mapping[str, "Tensor"], batch: Batch, shape: Shape, dropout: float) -> "Tensor":
    places = torch.arange(batch.tokens.shape[1], device=batch.tokens.device)
    states = (
        functional.embedding(batch.tokens, weights["embeddings.word_embeddings.weight"])
        + functional.embedding(places, weights["embeddings.position_embeddings.weight"])
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    states = _norm(weights, "embeddings.LayerNorm", states, shape)
    return functional.dropout(states, dropout, training=dropout > 0)


def _layer(
    weights: Mapping[str, "Tensor"],
    name: str,
    states: "Tensor",
    seen: "Tensor",
    shape: Shape,
    dropout: float,
) -> "Tensor":
    texts, length, width = states.shape

    def per_head(what: str) -> "Tensor":
        found = _dense(weights, f"{name}.attention.self.{what}", states)
        return found.view(texts, length, shape.heads, width // shape.heads).transpose(1, 2)

    mixed = functional.scaled_dot_product_attention(
        per_head("query"), per_head("key"), per_head("value"), attn_mask=seen, dropout_p=dropout
    )
    mixed = mixed.transpose(1, 2).reshape(texts, length, width)
    states = _add(weights, f"{name}.attention.output", mixed, states, shape, dropout)
    wide = functional.gelu(_dense(weights, f"{name}.intermediate.dense", states))
    return _add(weights, f"{name}.output", wide, states, shape, dropout)


def _add(
    weights: Mapping[str, "Tensor"],
    name: str,
    change: "Tensor",
    states: "Tensor",
    shape: Shape,
    dropout: float,
) -> "Tensor":
    change = functional.dropout(_dense(weights, f"{name}.dense", change), dropout, training=dropout > 0)
    return _norm(weights, f"{name}.LayerNorm", states + change, shape)


def _dense(weights: Mapping[str, "Tensor"], name: str, states: "Tensor") -> "Tensor":
    return functional.linear(states, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(weights: Mapping[str, "Tensor"], name: str, states: "Tensor", shape: Shape) -> "Tensor":
    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return functional.layer_norm(states, scale.shape, scale, shift, shape.norm_epsilon)
