from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hmer.cli import app
from hmer.errors import HmerError
from hmer.recognizer import SHIPPED, Recognizer

pytestmark = pytest.mark.medium


def test_the_confidence_is_fitted_on_new_captions_of_val(
    small_dataset: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(SHIPPED, model)
    arguments = ["calibrate", str(small_dataset), "--model", str(model), "--sets", "val"]
    done = CliRunner().invoke(app, [*arguments, "--beam", "1"], catch_exceptions=False)
    assert "right, ECE" in done.output
    about = json.loads((model / "model.json").read_text())
    assert about["calibration"].keys() == {"scale", "slope", "length", "rivals"}
    assert about != json.loads((SHIPPED / "model.json").read_text())
    assert Recognizer.load(model).calibration is not None


@pytest.mark.parametrize(
    ("name", "reason"), [("test-2014", "is a test set; calibrate"), ("train", "is trained on")]
)
def test_what_says_nothing_of_new_ink_is_refused(
    name: str, reason: str, small_dataset: Path
) -> None:
    arguments = ["calibrate", str(small_dataset), "--model", str(SHIPPED), "--sets", name]
    with pytest.raises(HmerError, match=f"{name} {reason}"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
