"""What recognisers share."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from hmer.latex.vocabulary import vocabulary
from hmer.models.catalog import RECOGNISERS, build_recogniser
from hmer.models.interface import Batch, Recogniser


def test_all_of_a_batch_moves() -> None:
    batch = Batch(
        torch.rand(1, 1, 8, 8), torch.ones(2, 3).long(), torch.zeros(2, 3).long(),
        torch.ones(1, 1), torch.zeros(1, 1),
    )  # fmt: skip
    there = batch.to(torch.device("meta"))
    for field in dataclasses.fields(Batch):
        moved, original = getattr(there, field.name), getattr(batch, field.name)
        assert moved.device.type == "meta"
        assert (moved.shape, moved.dtype) == (original.shape, original.dtype)
    again = batch.to(torch.device("cpu"))
    assert torch.equal(again.images, batch.images) and torch.equal(again.targets, batch.targets)


def test_a_recogniser_must_offer_everything() -> None:
    class Half(Recogniser):
        def encode(self, images: torch.Tensor) -> object:  # type: ignore[override]
            return images

    with pytest.raises(TypeError, match="attention_maps"):
        Half()  # type: ignore[abstract]


SMALL = {
    "encoder": {"name": "compact", "width": 8, "blocks": [1, 1, 1]},
    "decoder": {"layers": 2, "width": 16, "heads": 2, "feedforward": 16},
}
WITH_TRAINING_PARTS = [
    name for name in RECOGNISERS if name not in ("attention-coverage", "bttr", "comer")
]


def made(name: str, seed: int) -> Recogniser:
    torch.manual_seed(seed)
    return build_recogniser(name, SMALL, vocabulary(RECOGNISERS[name].dialect)).eval()


@pytest.mark.parametrize("name", WITH_TRAINING_PARTS)
@torch.no_grad()
def test_weights_for_reading(name: str) -> None:
    whole = made(name, 0)
    small = whole.for_reading()
    state = small.state_dict()
    assert 0 < len(state) < len(whole.state_dict())
    assert not any(key.split(".")[0] in whole.training_only for key in state)
    assert set(whole.training_only) <= {part for part, _ in whole.named_children()}
    images = torch.zeros(1, 1, 16, 32)
    images[..., 3:12, 4:20] = 1.0
    tokens = torch.tensor([[1]])
    wanted = whole.step(tokens, whole.encode(images), ())[0]
    for state in (small.state_dict(), whole.state_dict()):
        for other in (made(name, 1), made(name, 2).for_reading()):
            other.load_state_dict(state)
            assert torch.equal(other.step(tokens, other.encode(images), ())[0], wanted)
            assert set(other.state_dict()) <= set(whole.state_dict())
    broken = dict(small.state_dict())
    broken.pop(next(key for key in broken if key.startswith("encoder.")))
    with pytest.raises(RuntimeError, match="Missing key"):
        made(name, 1).load_state_dict(broken)
