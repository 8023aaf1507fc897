"""Can a small network tell composed expressions from real ones?

The classifier two-sample test (Lopez-Paz and Oquab, ICLR 2017): 50 % on held-out images is
indistinguishable, 100 % is trivially told apart. Both classes write the same captions, are drawn
by the same code and brought to the same size, so that only the hand can give them away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hmer.ink.render import render
from hmer.ink.strokes import Ink

HEIGHT, WIDTH = 48, 160
_UNIT, _MARGIN = 12.0, 0.25


@dataclass(frozen=True, slots=True)
class TwoSample:
    """Outcome of one test.

    Attributes:
        accuracy: on held-out images, both classes equally frequent.
        error: its binomial standard error.
        train: images the network was trained on.
        test: held-out images.
    """

    accuracy: float
    error: float
    train: int
    test: int


def canvas(ink: Ink) -> NDArray[np.uint8]:
    """The ink in the middle of an image (HEIGHT, WIDTH); shrunk where it is too large."""
    left, top, right, bottom = ink.bounds()
    room = min(WIDTH / (right - left + 2 * _MARGIN), HEIGHT / (bottom - top + 2 * _MARGIN), _UNIT)
    drawn = render(ink, room * 0.98, 1.4 / room, _MARGIN).image[:HEIGHT, :WIDTH]
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    y, x = (HEIGHT - drawn.shape[0]) // 2, (WIDTH - drawn.shape[1]) // 2
    image[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn
    return image


def network() -> nn.Sequential:
    """Four convolutions and a linear layer, 26 k parameters."""
    layers: list[nn.Module] = []
    channels = (1, 12, 24, 32, 48)
    for before, after in pairwise(channels):
        layers += [
            nn.Conv2d(before, after, 3, 2, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 1))


def test(
    real: Sequence[Ink], composed: Sequence[Ink], seed: int = 0, epochs: int = 12
) -> TwoSample:
    """Train on three quarters of the pairs, test on the rest.

    The n-th real and the n-th composed ink write the same caption and stay on the same side.

    Raises:
        ValueError: lists of different lengths, or fewer than 40 pairs.
    """
    if len(real) != len(composed) or len(real) < 40:
        raise ValueError("a two-sample test needs as many composed as real inks, at least 40")
    torch.manual_seed(seed)
    order = np.random.default_rng(seed).permutation(len(real))
    cut = len(order) * 3 // 4
    train, held = (_images(real, composed, part) for part in (order[:cut], order[cut:]))
    model = network()
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=1e-2)
    steps = epochs * -(-len(train[0]) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(train[0])), 64):
            images, labels = train[0][batch], train[1][batch]
            loss = nn.functional.binary_cross_entropy_with_logits(model(images)[:, 0], labels)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        guesses = torch.cat([model(images)[:, 0] for images in torch.split(held[0], 256)]) > 0
    accuracy = float((guesses == (held[1] > 0.5)).float().mean())
    error = float(np.sqrt(accuracy * (1 - accuracy) / len(guesses)))
    return TwoSample(accuracy, error, len(train[0]), len(guesses))


def _images(
    real: Sequence[Ink], composed: Sequence[Ink], part: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    images = [canvas(inks[i]) for inks in (real, composed) for i in part.tolist()]
    labels = torch.tensor([0.0, 1.0]).repeat_interleave(len(part))
    return torch.from_numpy(np.stack(images)).float().div(255)[:, None], labels
