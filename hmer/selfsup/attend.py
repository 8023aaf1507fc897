"""Phase 2, *Mask & Match*: the attention network, trained by progressive spatial masking.

*From the abstract* (arXiv 2508.06107): a self-supervised attention network; a masking curriculum
that grows harder. *Our design*: everything else; see `hmer.selfsup.match` for what is matched,
`hmer.masking` for what is hidden.
"""

from __future__ import annotations

from pathlib import Path

import torch

from hmer.data.batches import BatchStream
from hmer.data.dataset import load_expressions
from hmer.data.drawing import split_scale
from hmer.ink.render import RenderConfig
from hmer.masking.plot import curriculum_plot
from hmer.models.checkpoint import load_weights, read_config, save_module
from hmer.models.common.encoders import CompactConfig, CompactEncoder
from hmer.selfsup.exhibit import ObservedMatch, exhibits
from hmer.selfsup.images import ImageBatch, ImageMaker
from hmer.selfsup.mask_sheet import mask_sheet
from hmer.selfsup.match import AttendConfig
from hmer.selfsup.outcome import write_outcome
from hmer.training.fit import fit
from hmer.training.run import RunContext

__all__ = ["AttendConfig", "attend", "load_encoder"]

METRICS = ("loss", "loss_global", "loss_local", "evenness_of_map", "hidden")


def load_encoder(path: Path) -> CompactEncoder:
    """The encoder that phase 1 wrote.

    Raises:
        HmerError: it is missing, damaged, or something else.
    """
    encoder = CompactEncoder(read_config(path, "encoder", CompactConfig))
    load_weights(encoder, path)
    return encoder


def attend(
    config: AttendConfig,
    render: RenderConfig,
    train: Path,
    encoder: Path,
    out: Path,
    run: RunContext,
    seed: int,
    show: Path | None = None,
) -> dict[str, float]:
    """Train the attention network and write it with its curves, metrics and pictures.

    Args:
        config: parameters.
        render: scale at which ink is drawn.
        train: Parquet file; labels are not read.
        encoder: weights from phase 1.
        out: existing directory; gets attention.safetensors, attention.json, curves.csv,
            metrics.json, curriculum.png, and masks.png where there is something to show.
        run: surroundings.
        seed: of everything random.
        show: Parquet file (validation) of which a dozen expressions are shown with their masks
            and the attention on them; they have no influence on the training.

    Raises:
        HmerError: the encoder is missing, damaged or of another shape; a loss is not finite.
    """
    expressions = load_expressions(train)
    torch.manual_seed(seed)
    block = max(2, round(config.block * render.unit))
    trained = load_encoder(encoder)
    strokes = config.masking == "strokes"
    module = ObservedMatch(
        config, trained, block, seed, _to_show(show, render, strokes, trained.stride)
    )
    augmentation, scales = split_scale(config.augment)
    stream = BatchStream(expressions.sizes, config.batch, trained.stride, seed, scales)
    maker = ImageMaker(expressions, render, augmentation, strokes)
    fit(module, stream, maker, run, title="attend")

    about = {
        "kind": "attention",
        "channels": trained.channels,
        "config": config.attention.model_dump(mode="json"),
    }
    save_module(module.attention, out / "attention.safetensors", about)
    hidden = [(step, value) for step, name, value in module.curves.rows if name == "hidden"]
    plot = curriculum_plot(config.curriculum, config.optimisation.steps, hidden)
    (out / "curriculum.png").write_bytes(plot)
    if shown := module.shown():
        (out / "masks.png").write_bytes(mask_sheet(shown, config.masking))
    return write_outcome(module.curves, METRICS, out)


def _to_show(
    file: Path | None, render: RenderConfig, strokes: bool, stride: int
) -> list[ImageBatch]:
    """The exhibits: expressions of `file`, if there is one, drawn as they are."""
    if file is None:
        return []
    expressions = load_expressions(file)
    maker = ImageMaker(expressions, render, None, strokes)
    return exhibits(maker, expressions.sizes, stride)
