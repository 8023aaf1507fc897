"""Putting a recogniser into the package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError
from hmer.ink.render import RenderConfig
from hmer.recognizer import Recognizer
from pipeline.registry.shipping import ship
from tests.pipeline.conftest import tiny_model

pytestmark = pytest.mark.medium


METRICS = {
    "test-2014": {
        "n": 986, "exprate": 45.6, "le1": 60.0, "le2": 66.0, "le3": 70.0, "cer": 15.0,
        "structure_rate": 62.0, "exprate_canonical": 46.0,
    },
    "val": {
        "n": 488, "exprate": 75.0, "le1": 80.0, "le2": 86.0, "le3": 90.0, "cer": 5.0,
        "structure_rate": 82.0, "exprate_canonical": 75.0,
        "novelty.n_new": 242.0, "novelty.exprate_new": 64.05,
    },
    "note": {"text": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("trained")
    folder = tmp_path / "model"
    tiny_model(folder, 0)
    (tmp_path / "evaluation.json").write_text(json.dumps(METRICS))
    return folder


@pytest.fixture(scope="module")
def shipped(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shipped in place of another recogniser."""
    out = tmp_path_factory.mktemp("package") / "shipped"
    out.mkdir()
    (out / "MODEL_CARD.md").write_text("first", encoding="utf-8")
    (out / "old.onnx").touch()
    return ship(trained, trained.parent / "evaluation.json", out, "Trained in no time.")


def test_half_the_size_and_the_same_reading(trained: Path, shipped: Path) -> None:
    graphs = {"encoder.onnx", "step.onnx"}  # without weights
    files = {"model.safetensors", "model.json", "MODEL_CARD.md"} | graphs
    assert {p.name for p in shipped.iterdir()} == files
    assert [p.name for p in shipped.parent.iterdir()] == ["shipped"]
    assert sum((shipped / name).stat().st_size for name in graphs) < 2**17
    small, large = (f / "model.safetensors" for f in (shipped, trained))
    assert small.stat().st_size < 0.7 * large.stat().st_size
    kept = load_file(small)
    variances = [value for name, value in kept.items() if name.endswith("running_var")]
    assert variances and all(value.dtype == torch.float32 for value in variances)
    image = np.zeros((40, 60), np.uint8)
    image[10:30, 10:14] = 255
    short = DecodingConfig(beam=1, both_directions=False, max_length=6)
    a, b = (Recognizer.load(f).read([image], short)[0] for f in (trained, shipped))
    assert a.tokens == b.tokens
    assert a.confidence == pytest.approx(b.confidence, rel=0.05, abs=1e-6)


def test_the_card_has_the_numbers(shipped: Path) -> None:
    text = (shipped / "MODEL_CARD.md").read_text(encoding="utf-8")
    head, rule, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert head.startswith("| set | expressions | ExpRate, % | ≤ 1 edit, % |")
    assert rule.count("|") == head.count("|") and len(rows) == 2
    assert rows[0].startswith(
        "| test-2014 | 986 | 45.60 | 60.00 | 66.00 | 70.00 | 15.00 | 62.00 | – |"
    )
    assert rows[1].endswith("| 64.05 |")
    assert text.count("## Licence") == 1
    assert "Trained in no time." in text
    assert f"{RenderConfig().unit:g} pixels" in text
    assert "note" not in text.split("## Measured")[1].split("Percent")[0]


def test_what_is_missing_is_named(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(HmerError, match=r"none\.json"):
        ship(trained, tmp_path / "none.json", tmp_path / "shipped", "")
    with pytest.raises(HmerError, match="no model there"):
        ship(tmp_path / "none", trained.parent / "evaluation.json", tmp_path / "shipped", "")
    assert not (tmp_path / "shipped").exists()


def test_a_large_recogniser_is_not_shipped(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.registry.shipping.LARGEST", 1000)
    with pytest.raises(HmerError, match="train a smaller"):
        ship(trained, trained.parent / "evaluation.json", tmp_path / "shipped", "")
    assert not (tmp_path / "shipped").exists()
