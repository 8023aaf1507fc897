"""Fresh weights."""

from __future__ import annotations

import torch

from hmer.evaluation.untrained import untrained
from hmer.models.base import Encoder
from hmer.models.common.encoders import CompactConfig, CompactEncoder


def trained() -> CompactEncoder:
    """Weights that no draw gives."""
    encoder = CompactEncoder(CompactConfig(width=8, blocks=(1, 1)))
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.fill_(0.5)
    return encoder.eval()


def test_fresh_weights_of_the_seed() -> None:
    images = torch.rand(2, 1, 16, 16)

    def show(encoder: Encoder) -> None:
        with torch.inference_mode():
            encoder(images)

    encoder = trained()
    state = torch.get_rng_state()
    first, again, other = (untrained(encoder, seed, show) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(bool((weight == 0.5).all()) for weight in encoder.parameters())
    assert not first.training
    with torch.inference_mode():
        assert torch.equal(first(images), again(images))
        assert not torch.equal(first(images), other(images))
    drawn = first.stem.state_dict()["0.weight"]
    assert 0.0 < float(drawn.std()) < 0.5


def test_signals_do_not_die_away() -> None:
    images = torch.rand(4, 1, 32, 32)
    with torch.inference_mode():
        fresh = untrained(trained(), 0, lambda encoder: encoder(images))
        assert float(fresh(images).std()) > 0.1
