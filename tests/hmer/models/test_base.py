"""What recognisers share."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from hmer.data.collate import Batch
from hmer.models.base import Recogniser


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
