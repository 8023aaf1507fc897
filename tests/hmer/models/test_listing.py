"""The list of recognisers: sizes as published."""

from __future__ import annotations

import pytest
import torch

from hmer.latex.vocabulary import vocabulary
from hmer.models.catalog import RECOGNISERS, build_recogniser
from hmer.models.listing import count_parameters, listing

FIELD = {
    # Millions of weights in training and when reading, classes.
    "bttr": (6.375, 6.375, 113),
    "comer": (6.389, 6.389, 113),
    "hmer-mtl": (6.420, 6.391, 114),
    "posformer": (9.632, 6.389, 113),
    "ical": (7.369, 7.311, 114),
}


def test_sizes_are_the_fields() -> None:
    found = {one.name: one for one in listing()}
    assert list(found) == list(RECOGNISERS)
    for name, (training, inference, classes) in FIELD.items():
        assert found[name].parameters / 1e6 == pytest.approx(training, abs=6e-4)
        assert found[name].inference / 1e6 == pytest.approx(inference, abs=6e-4)
        assert found[name].vocabulary == classes
        assert (found[name].encoder, found[name].stride) == ("densenet", 16)
    assert (found["mask-match"].encoder, found["mask-match"].stride) == ("compact", 8)
    assert all(one.description.endswith(".") for one in found.values())


@pytest.mark.parametrize("name", RECOGNISERS)
def test_reading_does_without_what_is_for_training_only(name: str) -> None:
    """Its gradients are zero when the words that are read are all that counts."""
    torch.manual_seed(0)
    settings = {"encoder": {"name": "compact", "width": 8, "blocks": [1, 1]}}
    made = build_recogniser(name, settings, vocabulary("wap")).eval()
    image = torch.zeros(1, 1, 16, 32)
    image[..., 3:12, 4:20] = 1.0
    encoded = made.encode(image)
    past: tuple[torch.Tensor, ...] = ()
    for token in (1, 30):
        logits, past = made.step(torch.tensor([[token]]), encoded, past)
    logits.square().sum().backward()  # type: ignore[no-untyped-call]
    used = {n for n, p in made.named_parameters() if p.grad is not None and p.grad.abs().any()}
    sizes = {n: p.numel() for n, p in made.named_parameters()}
    unused = {n for n in sizes if n.split(".")[0] in made.training_only}
    assert not used & unused
    assert {n.split(".")[0] for n in sizes} - {n.split(".")[0] for n in used} == set(
        made.training_only
    )
    assert count_parameters(made) == (
        sum(sizes.values()),
        sum(size for n, size in sizes.items() if n not in unused),
    )
