import io

import numpy as np
import pytest
from PIL import Image

from hmer.evaluation.figures.synthesis import contact_sheet, habit_histograms


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def test_a_contact_sheet_has_each_image_in_its_column() -> None:
    left, right = np.full((20, 30), 255, np.uint8), np.zeros((10, 500), np.uint8)
    right[:, ::2] = 255
    sheet = opened(contact_sheet([("one", [left]), ("two", [right])], width=100, height=15))
    assert sheet.shape == (26 + 15 + 10, 2 * 110 + 10)
    assert (sheet[31:46, 10:40] == 0).all(), "ink is dark"
    assert (sheet[31:41, 120:220:2] == 0).all() and (sheet[31:41, 121:220:2] == 255).all()
    assert (sheet[31:46, 220:] == 255).all(), "what is too wide is cut"


def test_columns_belong_together() -> None:
    with pytest.raises(ValueError, match="equal length"):
        contact_sheet([("one", []), ("two", [np.zeros((2, 2), np.uint8)])])


def test_histograms_are_the_same_every_time_and_show_differences() -> None:
    rng = np.random.default_rng(0)
    real = {"gap": rng.normal(size=300).tolist(), "rise": rng.normal(size=300).tolist()}
    moved = {"gap": (rng.normal(size=300) + 2).tolist()}
    names = ["gap", "rise", "unknown"]
    one = habit_histograms({"real": real, "composed": moved}, names)
    assert one == habit_histograms({"real": real, "composed": moved}, names)
    assert one != habit_histograms({"real": real, "composed": {}}, names)
    assert opened(one).std() > 5
