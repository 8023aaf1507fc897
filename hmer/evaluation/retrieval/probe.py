"""A linear probe: how much of the symbols' names a linear layer can read off frozen features.

Multinomial logistic regression (Alain and Bengio, Understanding intermediate layers using linear
classifier probes, 2016), trained to its optimum from zero: a convex problem, so nothing is random.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hmer.evaluation.retrieval.features import Vectors

ITERATIONS = 200


def probe(
    vectors: Vectors,
    labels: NDArray[np.str_],
    groups: NDArray[np.int64],
    folds: int,
    penalty: float,
    seed: int,
) -> NDArray[np.str_]:
    """The label that a probe reads off each vector, having been trained on other groups: (n,).

    Args:
        vectors: (n, channels).
        labels: (n,).
        groups: (n,), of at least two kinds; no group is on both sides.
        folds: parts into which the groups are cut; at most as many as there are groups.
        penalty: weight of half the squared weights beside the mean cross-entropy, for
            standardised features.
        seed: decides which groups are together.

    Raises:
        ValueError: fewer than two groups or folds.
    """
    kinds, group = np.unique(groups, return_inverse=True)
    if len(kinds) < 2 or folds < 2:
        raise ValueError(f"a probe needs two groups and folds, not {len(kinds)} and {folds}")
    order = np.random.default_rng(seed).permutation(len(kinds))
    fold = (order % min(folds, len(kinds)))[group]
    answers = np.empty_like(labels)
    for number in range(int(fold.max()) + 1):
        apart = fold == number
        answers[apart] = _read(vectors[~apart], labels[~apart], vectors[apart], penalty)
    return answers


def _read(
    known: Vectors, labels: NDArray[np.str_], asked: Vectors, penalty: float
) -> NDArray[np.str_]:
    """Train on `known`, answer for `asked`."""
    names, kind = np.unique(labels, return_inverse=True)
    middle, spread = known.mean(axis=0), known.std(axis=0)
    # A channel that never changes says nothing, and must not be divided by 0.
    scale = np.where(spread > 1e-6 * max(float(spread.max()), 1e-12), spread, np.inf)
    train, test = (torch.from_numpy(((x - middle) / scale).astype(np.float32)) for x in
                   (known, asked))  # fmt: skip
    weight, bias = fit(train, torch.from_numpy(kind), len(names), penalty)
    answers: NDArray[np.str_] = names[(test @ weight.T + bias).argmax(dim=1).numpy()]
    return answers


def fit(inputs: Tensor, targets: Tensor, classes: int, penalty: float) -> tuple[Tensor, Tensor]:
    """Weight (classes, channels) and bias (classes,) of the regularised optimum."""
    weight = torch.zeros(classes, inputs.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=ITERATIONS, tolerance_grad=1e-5, history_size=10,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def loss() -> Tensor:
        solver.zero_grad()
        error = functional.cross_entropy(functional.linear(inputs, weight, bias), targets)
        error = error + 0.5 * penalty * weight.square().sum()
        torch.autograd.backward(error)
        return error

    solver.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
