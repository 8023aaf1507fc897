from __future__ import annotations

import numpy as np
import pytest

from hmer.errors import HmerError
from hmer.ink.images import decode_png, encode_png, ink_mask

IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def test_images_survive() -> None:
    np.testing.assert_array_equal(decode_png(encode_png(IMAGE)), IMAGE)
    assert ink_mask(IMAGE).sum() == (IMAGE >= 128).sum() == 5


@pytest.mark.parametrize("data", [b"", b"\x89PNG no", b"GIF89a"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(HmerError, match="run ingest again"):
        decode_png(data)
