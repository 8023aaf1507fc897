"""Which cells hold ink, and their way from the map to a sequence and back."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from hmer.ink.canvas import INK_THRESHOLD
from hmer.models.common.ink_cells import Cells, ink_cells, written_area


def some_cells(seed: int, batch: int = 3, height: int = 5, width: int = 9) -> torch.Tensor:
    """Random choices of cells, of different number in each map."""
    generator = torch.Generator().manual_seed(seed)
    share = torch.linspace(0.1, 0.9, batch)[:, None, None]
    return torch.rand(batch, height, width, generator=generator) < share


def test_cells_with_ink() -> None:
    images = torch.zeros(1, 1, 16, 24)
    images[0, 0, 3, 9] = 0.5
    images[0, 0, 8, 0] = 1.0
    images[0, 0, 15, 23] = INK_THRESHOLD / 2  # a smudge
    assert ink_cells(images, 8).tolist() == [[[False, True, False], [True, False, False]]]
    assert ink_cells(images, 4).sum() == 2


def test_blank_paper_is_all_ink_but_only_where_it_is_blank() -> None:
    images = torch.zeros(2, 1, 16, 16)
    images[1, 0, 0, 0] = 1.0
    assert ink_cells(images, 8).sum(dim=(1, 2)).tolist() == [4, 1]


def test_where_keeps_the_order_of_reading() -> None:
    chosen = torch.tensor([[[0, 1, 1], [1, 0, 0]], [[0, 0, 0], [0, 0, 1]]], dtype=torch.bool)
    cells = Cells.where(chosen)
    assert cells.grid == (2, 3)
    assert cells.index.tolist() == [[1, 2, 3, 0, 0, 0], [5, 0, 0, 0, 0, 0]]
    assert cells.valid.sum(dim=1).tolist() == [3, 1]
    assert cells.valid[:, 0].all()


@pytest.mark.parametrize(("count", "size"), [(1, 32), (32, 32), (33, 64), (65, 90), (90, 90)])
def test_few_lengths(count: int, size: int) -> None:
    chosen = torch.zeros(1, 9, 10, dtype=torch.bool)
    chosen.view(-1)[:count] = True
    cells = Cells.where(chosen)
    assert cells.index.shape == (1, size)
    assert cells.index[cells.valid].tolist() == list(range(count))


@pytest.mark.parametrize("seed", range(5))
def test_there_and_back(seed: int) -> None:
    chosen = some_cells(seed)
    features = torch.randn(3, 4, 5, 9, generator=torch.Generator().manual_seed(seed))
    cells = Cells.where(chosen)
    sequence = cells.gather(features)
    for b in range(3):
        places = chosen[b].nonzero().tolist()
        assert cells.valid[b].sum() == len(places)
        for m, (row, column) in enumerate(places):
            assert torch.equal(sequence[b, m], features[b, :, row, column])
    back = cells.scatter(sequence.transpose(1, 2))
    assert torch.equal(back, features * chosen[:, None])


@pytest.mark.parametrize("filler", [7.0, float("inf"), float("-inf"), float("nan")])
def test_padding_never_leaks(filler: float) -> None:
    chosen = some_cells(1)
    cells = Cells.where(chosen)
    values = torch.ones(3, 2, cells.index.shape[1])
    values.masked_fill_(~cells.valid[:, None], filler)
    assert torch.equal(cells.scatter(values), chosen[:, None].float().expand(-1, 2, -1, -1))
    assert torch.equal(cells.scatter(values[:, 0]), chosen.float())


def test_gradients_go_to_the_chosen_cells_only() -> None:
    chosen = some_cells(2)
    features = torch.zeros(3, 1, 5, 9, requires_grad=True)
    cells = Cells.where(chosen)
    cells.scatter(cells.gather(features).squeeze(-1)).sum().backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None
    assert torch.equal(features.grad[:, 0], chosen.float())


def test_code_of_each_cell() -> None:
    cells = Cells.where(some_cells(3))
    code = cells.code(8)
    assert code.shape == (3, cells.index.shape[1], 8)
    for b in range(3):
        for m in cells.valid[b].nonzero().flatten().tolist():
            row, column = divmod(int(cells.index[b, m]), 9)
            expected = []
            for position in (column, row):
                for pair in range(2):
                    angle = position * 1000.0 ** (-2 * pair / 4)
                    expected += [math.sin(angle), math.cos(angle)]
            assert code[b, m].tolist() == pytest.approx(expected, abs=1e-5)


def test_up_to_the_last_ink() -> None:
    images = torch.zeros(3, 1, 16, 32)
    images[0, 0, 9, 2] = 1.0  # row 2, column 0 of 4 x 8 cells
    images[0, 0, 1, 13] = 0.5  # row 0, column 3
    images[1, 0, 0, 0] = 1.0
    images[2, 0, 15, 31] = 0.05  # too faint for ink: blank
    found = written_area(images, 4)
    wanted = torch.zeros(3, 4, 8, dtype=torch.bool)
    wanted[0, :3, :4] = True
    wanted[1, 0, 0] = True
    wanted[2] = True
    assert torch.equal(found, wanted)


def test_padding_does_not_matter() -> None:
    images = (torch.rand(4, 1, 24, 40, generator=torch.Generator().manual_seed(0)) > 0.99).float()
    own = written_area(images, 8)
    padded = written_area(functional.pad(images, (0, 24, 0, 16)), 8)
    assert torch.equal(padded[:, :3, :5], own)
    assert not padded[:, 3:].any() and not padded[:, :, 5:].any()
