"""The tiny recogniser, and something for it to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from hmer.data.dataset import Expressions, load_expressions
from hmer.recognizer import Recognizer


@pytest.fixture(scope="module")
def expressions(small_dataset: Path) -> Expressions:
    return load_expressions(small_dataset / "val.parquet")


@pytest.fixture(scope="module")
def recognizer(model_folder: Path) -> Recognizer:
    return Recognizer.load(model_folder)
