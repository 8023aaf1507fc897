"""Fits the classifier of single symbols of a recogniser (`hmer.models.common.lone_symbol`).

It learns from the glyphs of the data set's bank, those of isolated symbols as they were written and
not as they stand in lines, distorted like all training ink; pieces of training expressions stand
for what is no single symbol. A logistic regression on the features that the rest of the recogniser,
which stays as it is, gives them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hmer.data.batches import BatchConfig, in_batches
from hmer.data.dataset import load_expressions
from hmer.data.drawing import other_pen
from hmer.errors import HmerError
from hmer.ink.augment import AugmentConfig, augment
from hmer.ink.render import RenderConfig, render
from hmer.ink.scale import normalise, own_unit, stroke_boxes
from hmer.ink.strokes import Ink
from hmer.latex.tree import is_symbol
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Recogniser
from hmer.models.common.lone_symbol import LoneSymbol
from hmer.models.mask_match import MaskMatch
from hmer.progress import Steps
from hmer.synthesis.base import ISOLATED
from hmer.synthesis.compose import alone
from hmer.synthesis.decompose import DecomposeConfig, Decomposer
from hmer.synthesis.glyphs.bank import FOREIGN, GlyphBank
from hmer.synthesis.glyphs.cache import bank_of
from hmer.synthesis.glyphs.foreign import tokens_of
from hmer.training.optimisation import has_native_bf16

_BATCH = BatchConfig(max_pixels=250_000, buckets=8, max_count=64)
_AUGMENT = AugmentConfig(scale=1.0)
_CHUNK = 2048  # symbols that are drawn together
_OTHERS = 0.25  # expressions for each symbol
_LONGEST = 12  # tokens of these
_LARGEST = 8.0  # symbol units: larger ones have a spot of ink that passes for their size
DECAY = 1e-4  # of the squared weights, for features of unit variance
_ITERATIONS = 100
_NEVER = -1e4  # logit of a class without a sample


def fit_lone_symbols(
    model: Recogniser,
    dataset: Path,
    vocabulary: Vocabulary,
    render: RenderConfig,
    number: int,
    seed: int,
) -> None:
    """Give a recogniser such a classifier, or a new one; all other weights stay as they are.

    Args:
        model: a finished one.
        dataset: folder that it was trained on.
        vocabulary: of the recogniser.
        render: scale at which it reads.
        number: single symbols to fit on.
        seed: of their writing.

    Raises:
        HmerError: the recogniser has no place for it, or the data set says nothing of symbols.
    """
    if not isinstance(model, MaskMatch):
        raise HmerError(
            f"a {type(model).__name__} has no place for a classifier of single symbols; only a "
            "mask-match recogniser has"
        )
    features, tokens, letters, weights = _collected(
        model.eval(), dataset, vocabulary, render, number, seed
    )
    fitted = LoneSymbol(model.encoder.channels, len(vocabulary))
    _fit(fitted.token, features, tokens, weights)
    inside = letters >= 0
    _fit(fitted.letter, features[inside], letters[inside], weights[inside])
    model.lone_symbol = fitted.requires_grad_(False).to(next(model.parameters()).device)


@torch.no_grad()
def _collected(
    model: MaskMatch,
    dataset: Path,
    vocabulary: Vocabulary,
    shown: RenderConfig,
    number: int,
    seed: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features, tokens (the stop token: no single symbol), letters (-1: none), and weights."""
    rng = np.random.default_rng([seed, 7])
    device = next(model.parameters()).device
    fast = device.type != "cpu" or has_native_bf16()
    train = load_expressions(dataset / "train.parquet")
    glyphs = _Glyphs(dataset, vocabulary, train.tokens)
    pieces = Decomposer(train, DecomposeConfig(single=0.0))
    order = glyphs.some(number, rng)
    found: list[Tensor] = []
    told: list[tuple[int, int, float]] = []
    with Steps("lone symbols", number) as steps:
        for start in range(0, number, _CHUNK):
            written = [
                (tokens_of(glyphs.tokens[k]), glyphs.inks[k], glyphs.weights[glyphs.tokens[k]])
                for k in islice(order, _CHUNK)
            ]
            for _ in range(round(_OTHERS * len(written))):
                piece = pieces(rng)
                if len(piece.tokens) <= _LONGEST:
                    written.append((piece.tokens, piece.ink, 1.0))
            images = [_drawn(ink, shown, rng) for _, ink, _ in written]
            for rows, batch in in_batches(images, model.stride, _BATCH):
                with torch.autocast(device.type, torch.bfloat16, enabled=fast):
                    found.append(model.pooled(batch.to(device)).float().cpu())
                for tokens, _, weight in (written[row] for row in rows):
                    caption = vocabulary.encode(tokens)
                    lone = is_symbol(tokens)
                    token = caption[0] if lone else vocabulary.eos
                    told.append((token, caption[2] if lone and len(caption) > 1 else -1, weight))
            steps.update(min(start + _CHUNK, number))
    classes, letters, weights = (torch.tensor(row) for row in zip(*told, strict=True))
    return torch.cat(found), classes, letters, weights


class _Glyphs:
    """The glyphs that are fitted on: of isolated symbols as they were written, and of lines."""

    def __init__(
        self, dataset: Path, vocabulary: Vocabulary, captions: Sequence[Sequence[str]]
    ) -> None:
        bank = bank_of(dataset / "train.parquet")
        path = dataset / ISOLATED
        isolated = GlyphBank.load(path).cuttings() if path.is_file() else ()
        lines = (c for c in bank.cuttings() if not bank.collections[c.writer].startswith(FOREIGN))
        self.tokens: list[str] = []
        self.inks: list[Ink] = []
        for token, _, glyph in chain(isolated, lines):
            ink = Ink(tuple(stroke.astype(np.float32) for stroke in glyph))
            ink = normalise(ink, own_unit(stroke_boxes(ink)))
            if not vocabulary.unknown(tokens_of(token)) and max(ink.bounds()) <= _LARGEST:
                self.tokens.append(token)
                self.inks.append(ink)
        counts = Counter(self.tokens)
        groups, shares = alone(sorted(counts), captions)
        shares *= len(self.tokens) / shares.sum()
        self.weights = {
            token: float(share) / (len(group) * counts[token])
            for group, share in zip(groups, shares, strict=True)
            for token in group
        }
        """What a glyph of a class counts, so that each class counts by its share."""

    def some(self, number: int, rng: np.random.Generator) -> Iterator[int]:
        """Numbers of glyphs in a random order, each as often as any other."""
        for start in range(0, number, len(self.inks)):
            yield from rng.permutation(len(self.inks))[: number - start].tolist()


def _drawn(ink: Ink, shown: RenderConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The ink, distorted, in some pen."""
    ink = augment(ink, rng, _AUGMENT)
    pen = other_pen(shown, _AUGMENT, rng)
    return render(ink, pen.unit, pen.pen, pen.margin).image


def _fit(layer: nn.Linear, features: Tensor, classes: Tensor, weights: Tensor) -> None:
    """Weighted multinomial logistic regression by L-BFGS, in place.

    The bias of a class without a sample is as low as it gets.
    """
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, _NEVER)
    if not len(features):
        return
    mean, deviation = features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=1e-6)
    seen = torch.bincount(classes, minlength=layer.out_features) > 0
    number = torch.cumsum(seen, 0) - 1
    inputs, wanted = (features - mean) / deviation, number[classes]
    weight = torch.zeros(int(seen.sum()), layer.in_features, requires_grad=True)
    bias = torch.zeros(len(weight), requires_grad=True)
    search = torch.optim.LBFGS(
        [weight, bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe", history_size=10
    )

    def loss() -> Tensor:
        search.zero_grad()
        losses = functional.cross_entropy(inputs @ weight.T + bias, wanted, reduction="none")
        found = (weights * losses).sum() / weights.sum() + DECAY * weight.square().sum()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    search.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        layer.weight[seen] = weight / deviation
        layer.bias[seen] = bias - (weight / deviation) @ mean
