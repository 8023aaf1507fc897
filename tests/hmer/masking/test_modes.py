"""Which way of hiding is taken."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hmer.masking import modes
from hmer.masking.blocks import hide_ink
from hmer.masking.guided import hide_guided
from hmer.masking.modes import Mode, hide
from hmer.masking.strokes import hide_strokes


def drawings() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(5)
    images = (torch.rand(3, 1, 24, 32) < 0.1).float()
    strokes = torch.randint(1, 6, (3, 24, 32), dtype=torch.int16)
    return images, strokes, torch.rand(3, 3, 4)


@pytest.mark.parametrize("mode", ["blocks", "strokes", "guided"])
def test_by_name(mode: Mode) -> None:
    images, strokes, attention = drawings()
    plain: dict[str, Any] = {
        "blocks": lambda: hide_ink(images, 0.4, 5),
        "strokes": lambda: hide_strokes(images, strokes, 0.4, 5),
        "guided": lambda: hide_guided(images, attention, 0.4, 5),
    }
    torch.manual_seed(1)
    wanted = plain[mode]()
    torch.manual_seed(1)
    found = hide(mode, images, 0.4, 5, strokes, attention)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("mode", ["strokes", "guided"])
def test_blocks_where_the_wanted_is_not_known(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, f"hide_{mode}", None)
    images, _, _ = drawings()
    torch.manual_seed(1)
    wanted = hide_ink(images, 0.4, 5)
    torch.manual_seed(1)
    found = hide(mode, images, 0.4, 5)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
