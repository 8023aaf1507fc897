"""The encoder's graph, before it is ONNX: the same numbers as the recogniser's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import HmerError
from hmer.export.convert import EncoderGraph, exportable, ink_first
from hmer.latex.vocabulary import vocabulary
from hmer.models.bttr import BTTR
from hmer.models.common.grid import GridConfig
from hmer.models.common.ink_cells import Cells
from hmer.models.mask_match import MaskMatch
from hmer.recognizer import Recognizer

pytestmark = pytest.mark.medium


@given(
    st.integers(1, 4), st.integers(1, 9), st.integers(2, 9), st.integers(0, 10), st.integers(0, 99)
)
def test_the_same_cells_in_the_same_order(b: int, h: int, w: int, tenths: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    chosen = torch.from_numpy(rng.random((b, h, w)) < tenths / 10)
    mine, theirs = ink_first(chosen), Cells.where(chosen)
    longest = int(chosen.flatten(1).sum(dim=1).max())
    assert mine.index.shape == mine.valid.shape == (b, max(2, longest))
    assert mine.grid == theirs.grid
    for row in range(b):
        assert (
            mine.index[row][mine.valid[row]].tolist()
            == theirs.index[row][theirs.valid[row]].tolist()
        )
        assert not mine.index[row][~mine.valid[row]].any()


@pytest.fixture(scope="module")
def model(model_folder: Path) -> MaskMatch:
    return exportable(Recognizer.load(model_folder).model)


@torch.inference_mode()
def test_the_encoder_computes_what_the_recogniser_does(model: MaskMatch) -> None:
    images = torch.zeros(3, 1, 40, 120)
    images[0, 0, 3:30, 5:100] = 1.0
    images[1, 0, 10:12, 90:95] = 0.7  # the last stays blank
    encoded = model.encode(images)
    *memory, shown, index = EncoderGraph(model)(images)
    assert encoded.attention is not None
    torch.testing.assert_close(shown, encoded.attention, rtol=0, atol=1e-6)
    # Not padded to a multiple of 32 (75 cells are all of the map here).
    assert memory[-1].shape == (3, 1, 1, 75) and index.shape == (3, 75)


def test_others_are_named() -> None:
    config = GridConfig.model_validate(
        {"encoder": {"name": "compact", "width": 8, "blocks": [1]}, "decoder": {"layers": 1}}
    )
    with pytest.raises(HmerError, match="a BTTR recogniser cannot be exported") as caught:
        exportable(BTTR(config, vocabulary("wap")))
    assert "\n" not in str(caught.value)
