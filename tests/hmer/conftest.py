"""A tiny recogniser on disk, and ink to read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from hmer.data.collate import stack
from hmer.ingest.sources.synthetic import Synthetic
from hmer.ink.render import RenderConfig, render
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink
from hmer.latex.vocabulary import vocabulary
from hmer.models.checkpoint import save_module
from hmer.models.common.attention import AttentionConfig
from hmer.models.common.encoders import CompactConfig
from hmer.models.common.ink_cells import Cells, ink_cells
from hmer.models.common.lone_symbol import LoneSymbol
from hmer.models.mask_match import MaskMatch, MaskMatchConfig
from hmer.models.mask_match.decoder import DecoderConfig, DecoderLayer

TINY = MaskMatchConfig(
    encoder=CompactConfig(width=8, blocks=(1, 1, 1)),
    attention=AttentionConfig(heads=2, hidden=8),
    decoder=DecoderConfig(layers=1, width=16, heads=2, feedforward=16),
)


def drawn_expressions() -> tuple[Ink, ...]:
    """Ink of six expressions."""
    found = [task().ink for task in Synthetic(train=6, val=0, test=0).items(0)]
    return tuple(ink for ink in found if ink is not None)


def save_recogniser(
    folder: Path,
    stop: float = 3.0,
    *,
    sure: bool = False,
    half: bool = False,
    lone: bool = False,
) -> Path:
    """An untrained recogniser that has its opinions, and different ones of different images.

    Its wish to stop is a matter of the image, unless it is `sure`. `lone`: with a classifier of
    single symbols.
    """
    torch.manual_seed(3)
    words = vocabulary("wap")
    model = MaskMatch(TINY, len(words)).eval()
    images = [render(normalise(ink), 20.0, 0.1, 0.25).image for ink in drawn_expressions()]
    batch = stack(images, *(-(-max(image.shape[i] for image in images) // 8) * 8 for i in (0, 1)))
    cells = Cells.where(ink_cells(batch, model.stride))
    with torch.no_grad():
        # Fresh features of all ink are much alike; what they have in common is taken away.
        content = cells.gather(model.encoder(batch))[cells.valid].mean(dim=0)
        first, layer = model.adapt[0], model.decoder.layers[0]
        assert isinstance(first, nn.Linear) and isinstance(layer, DecoderLayer)
        first.bias.copy_(-first.weight @ content)
        layer.cross_query.weight.mul_(8.0)
        layer.cross_merge.weight.mul_(8.0)
        model.decoder.head.weight.mul_(12.0)
        model.decoder.head.bias[[words.sos, words.eos]] = stop
        if sure:
            model.decoder.head.weight[[words.sos, words.eos]] = 0.0
    if lone:
        model.lone_symbol = LoneSymbol(model.encoder.channels, len(words))
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "kind": "recogniser",
        "name": "mask-match",
        "config": TINY.model_dump(mode="json"),
        "render": RenderConfig().model_dump(mode="json"),
        "vocabulary": json.loads(words.to_json()),
    }
    save_module(model, folder / "model.safetensors", about, half=half)
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained recogniser; not to be changed."""
    return save_recogniser(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def terse_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recogniser that would rather write nothing, and is rather sure of it."""
    return save_recogniser(tmp_path_factory.mktemp("terse"), stop=25.0, sure=True)


@pytest.fixture
def own_model(tmp_path: Path) -> Path:
    """The same, to be spoilt."""
    return save_recogniser(tmp_path / "model")


@pytest.fixture(scope="session")
def inks() -> tuple[Ink, ...]:
    """Handwritten expressions of different size."""
    return drawn_expressions()
