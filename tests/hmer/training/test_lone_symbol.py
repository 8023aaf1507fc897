"""Fitting the classifier of single symbols."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize  # type: ignore[import-untyped]
from torch import nn

from hmer.errors import HmerError
from hmer.ink.render import RenderConfig, render
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink
from hmer.latex.vocabulary import vocabulary
from hmer.models.bttr import BTTR
from hmer.models.checkpoint import load_recogniser
from hmer.models.common.grid import GridConfig
from hmer.recognizer import Recognizer
from hmer.synthesis.glyphs.cache import bank_of
from hmer.training.lone_symbol import DECAY, _fit, fit_lone_symbols

WORDS = vocabulary("wap")
DRAWN = RenderConfig(unit=10)


def test_the_same_as_another_minimiser() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3)) * [1.0, 5.0, 0.1] + [0.0, 2.0, 3.0]
    classes = np.array([1, 1, 3] * 20)  # of five; the others have no sample
    classes[features[:, 0] > 0.5] = 4
    layer = nn.Linear(3, 5)
    weights = rng.uniform(0.2, 3.0, 60)
    given = (torch.tensor(x, dtype=torch.float32) for x in (features, weights))
    _fit(layer, next(given), torch.tensor(classes), next(given))

    spread = (features - features.mean(axis=0)) / features.std(axis=0)
    hot = np.array([1, 3, 4])[None] == classes[:, None]

    def loss(flat: np.ndarray) -> float:
        weight, bias = flat[:9].reshape(3, 3), flat[9:]
        logits = spread @ weight.T + bias
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return float(-logits[hot] @ weights / weights.sum() + DECAY * (weight**2).sum())

    best = minimize(loss, np.zeros(12), tol=1e-9).x
    expected = spread @ best[:9].reshape(3, 3).T + best[9:]
    with torch.no_grad():
        found = layer(torch.tensor(features, dtype=torch.float32)).numpy()
    mine, theirs = (
        np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (found[:, [1, 3, 4]], expected)
    )
    np.testing.assert_allclose(mine, theirs, atol=5e-3)
    assert (found[:, [0, 2]] < -1000).all()


@pytest.mark.medium
def test_it_learns_symbols_and_leaves_all_else_as_it_is(
    finished: Path, small_dataset: Path
) -> None:
    models = [load_recogniser(finished / "finetune").model for _ in range(2)]
    before = {name: weight.clone() for name, weight in models[0].state_dict().items()}
    for model in models:
        fit_lone_symbols(model, small_dataset, WORDS, DRAWN, 600, seed=0)
    after, again = (model.state_dict() for model in models)
    assert after.keys() - before.keys() == {
        f"lone_symbol.{part}.{kind}" for part in ("token", "letter") for kind in ("weight", "bias")
    }
    assert all(torch.equal(after[name], again[name]) for name in after)
    assert all(torch.equal(after[name], weight) for name, weight in before.items())

    # Glyphs it was fitted on; by the decoder, which has seen six steps, none is right.
    bank = [*bank_of(small_dataset / "train.parquet").cuttings()]
    reads = Recognizer(models[0], WORDS, DRAWN)
    right = 0
    for token, _, glyph in bank:
        image = render(
            normalise(Ink(tuple(stroke.astype(np.float32) for stroke in glyph))),
            DRAWN.unit,
            DRAWN.pen,
            DRAWN.margin,
        ).image
        right += reads.read([image])[0].tokens == (token,)
    assert right / len(bank) > 0.5


def test_others_have_no_place_for_it(tmp_path: Path) -> None:
    config = GridConfig.model_validate(
        {"encoder": {"name": "compact", "width": 8, "blocks": [1]}, "decoder": {"layers": 1}}
    )
    with pytest.raises(HmerError, match="a BTTR has no place for a classifier"):
        fit_lone_symbols(BTTR(config, WORDS), tmp_path, WORDS, DRAWN, 10, seed=0)
