"""A tiny recogniser on disk, and ink to read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hmer.data.sources.synthetic import SyntheticConfig, SyntheticSource
from hmer.ink.render import RenderConfig
from hmer.ink.strokes import Ink
from hmer.latex.vocabulary import vocabulary
from hmer.models.attention import AttentionConfig
from hmer.models.decoders.transformer import DecoderConfig
from hmer.models.encoders.compact import CompactConfig
from hmer.models.mask_match import MaskMatch, MaskMatchConfig
from hmer.models.store import save_module

TINY = MaskMatchConfig(
    encoder=CompactConfig(width=8, blocks=(1, 1, 1)),
    attention=AttentionConfig(heads=2, hidden=8),
    decoder=DecoderConfig(layers=1, width=16, heads=2, feedforward=16),
)


def save_recogniser(folder: Path) -> Path:
    """An untrained recogniser, inclined to write something short."""
    torch.manual_seed(3)
    words = vocabulary("wap")
    model = MaskMatch(TINY, len(words))
    with torch.no_grad():
        model.decoder.head.weight.mul_(6.0)  # opinions
        model.decoder.head.bias[[words.sos, words.eos]] = 3.0
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "kind": "recogniser",
        "name": "mask-match",
        "config": TINY.model_dump(mode="json"),
        "render": RenderConfig().model_dump(mode="json"),
        "vocabulary": json.loads(words.to_json()),
    }
    save_module(model, folder / "model.safetensors", about)
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained recogniser; not to be changed."""
    return save_recogniser(tmp_path_factory.mktemp("model"))


@pytest.fixture
def own_model(tmp_path: Path) -> Path:
    """The same, to be spoilt."""
    return save_recogniser(tmp_path / "model")


@pytest.fixture(scope="session")
def inks() -> tuple[Ink, ...]:
    """Handwritten expressions of different size."""
    config = SyntheticConfig(train=6, val=0, test=0)
    found = [task().ink for task in SyntheticSource(config).items(0)]
    return tuple(ink for ink in found if ink is not None)
