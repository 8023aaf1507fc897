"""The reference of the benchmarks is CoMER: with the same weights ours says the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from benchmarks.comer_reference import ComerReference, search
from benchmarks.material import fresh
from hmer.data.collate import Batch
from hmer.decoding import bidirectional
from hmer.decoding.bidirectional import DecodingConfig
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Recogniser
from hmer.models.step import MemoryStep

Both = tuple[ComerReference, Recogniser, Vocabulary]


def as_published(state: dict[str, Tensor]) -> Iterator[Tensor]:
    """Our weights in their order; ours keeps queries apart from keys and values."""
    for name, value in state.items():
        if "cross_project" in name:
            yield torch.cat([state[name.replace("cross_project", "cross_query")], value])
        elif "cross_query" not in name:
            yield value


@pytest.fixture(scope="module")
def models() -> Both:
    ours, words = fresh("comer")
    reference = ComerReference(len(words))
    torch.manual_seed(1)
    for parameter in ours.parameters():  # norms and biases, too, are to make a difference
        parameter.data += 0.05 * torch.randn_like(parameter)
    theirs = {n: v for n, v in reference.state_dict().items() if "num_batches" not in n}
    own = {n: v for n, v in ours.state_dict().items() if "num_batches" not in n}
    for target, value in zip(theirs.values(), as_published(own), strict=True):
        target.copy_(value.view_as(target))
    return reference.eval(), ours.eval(), words


def pictures() -> tuple[Tensor, Tensor]:
    """Two images that are written on to the last row and column, and their padding: none."""
    images = torch.rand(2, 1, 48, 80, generator=torch.Generator().manual_seed(2))
    return images, torch.zeros(2, 3, 5, dtype=torch.bool)


def test_size(models: Both) -> None:
    assert sum(p.numel() for p in models[0].parameters()) == 6_389_041


@torch.no_grad()
def test_loss_and_logits(models: Both) -> None:
    reference, ours, words = models
    images, padding = pictures()
    rng = torch.Generator().manual_seed(0)
    inputs, targets = torch.randint(3, len(words), (2, 4, 7), generator=rng)
    targets[1, 5:] = 0
    losses, logits = ours.losses(Batch(images, inputs, targets, *torch.full((2, 2, 3, 5), -100)))
    cells = reference.encoder(images, padding)
    theirs = reference.decode(torch.cat([cells] * 2), torch.cat([padding] * 2), inputs)
    assert torch.allclose(logits, theirs, atol=1e-3)
    assert logits.std() > 0.1
    assert losses["word"].item() == pytest.approx(
        reference.loss(images, padding, inputs, targets).item(), rel=1e-4
    )


@torch.no_grad()
def test_padded_cells_change_nothing_in_the_decoder(models: Both) -> None:
    reference, _, words = models
    cells = torch.randn(1, 3, 5, 256)
    tokens = torch.randint(3, len(words), (1, 6))
    alone = reference.decode(cells, torch.zeros(1, 3, 5, dtype=torch.bool), tokens)
    padding = torch.ones(1, 4, 7, dtype=torch.bool)
    padding[:, :3, :5] = False
    padded = torch.randn(1, 4, 7, 256)
    padded[:, :3, :5] = cells
    assert torch.allclose(reference.decode(padded, padding, tokens), alone, atol=1e-4)


@pytest.mark.parametrize(("both", "stop"), [(True, -30.0), (False, 3.0)])
@torch.no_grad()
def test_search(models: Both, both: bool, stop: float) -> None:
    """In both directions up to the limit of length, and in one where sequences stop."""
    reference, ours, words = models
    images, padding = pictures()
    for head in (reference.head, ours.head):
        assert isinstance(head, torch.nn.Linear)
        head.bias[[words.pad, words.sos]] = -30
        head.bias[words.eos] = stop
    found = search(
        reference, images, padding, sos=words.sos, eos=words.eos, beam=4, length=6, both=both
    )
    readings = bidirectional.search(
        MemoryStep(ours.step, ours.encode(images)), 2,
        DecodingConfig(beam=4, max_length=6, both_directions=both, alpha=1.0),
        sos=words.sos, eos=words.eos, pad=words.pad,
    )  # fmt: skip
    count = 1 if both else 4  # readings that both directions have found are one to ours
    wanted = [[list(reading.tokens) for reading in row[:count]] for row in readings]
    assert [row[:count] for row in found] == wanted
    assert {len(row[0]) for row in found} == {6 if both else 0}
