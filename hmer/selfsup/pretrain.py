"""Phase 1, *Mask & Match*: contrastive pretraining of the encoder, without labels.

*From the abstract* (arXiv 2508.06107): a global and a local contrastive loss together.
*Our design*: views made from the strokes where there are any, from the image elsewhere; see
`hmer.selfsup.contrast` for the losses.
"""

from __future__ import annotations

from pathlib import Path

import torch

from hmer.data.batches import BatchStream
from hmer.data.dataset import Expressions, load_expressions
from hmer.data.drawing import split_scale
from hmer.errors import HmerError
from hmer.ink.render import RenderConfig
from hmer.models.checkpoint import save_module
from hmer.selfsup.contrast import Contrast, PretrainConfig
from hmer.selfsup.outcome import write_outcome
from hmer.selfsup.views import ViewMaker
from hmer.training.fit import fit
from hmer.training.run import RunContext

__all__ = ["PretrainConfig", "pretrain"]

METRICS = (
    "loss", "loss_global", "loss_local",
    "spread", "alignment", "uniformity",
    "spread_local", "alignment_local", "uniformity_local",
)  # fmt: skip


def pretrain(
    config: PretrainConfig,
    render: RenderConfig,
    train: Path,
    out: Path,
    run: RunContext,
    seed: int,
) -> dict[str, float]:
    """Train the encoder on the train split and write it with its curves and metrics.

    Args:
        config: parameters.
        render: scale at which ink is drawn (that of the data set).
        train: Parquet file; only ink and images are read, never labels.
        out: existing directory; gets encoder.safetensors, encoder.json, curves.csv, metrics.json.
        run: surroundings.
        seed: of everything random.

    Raises:
        HmerError: fewer than two expressions, or the embeddings collapsed.
    """
    expressions: Expressions = load_expressions(train)
    if len(expressions) < 2:
        raise HmerError(f"{train}: a contrastive loss needs at least two expressions")
    torch.manual_seed(seed)
    module = Contrast(config, seed)
    stride = module.encoder.stride
    augmentation, scales = split_scale(config.augment)
    stream = BatchStream(expressions.sizes, config.batch, stride, seed, scales, least=2)
    maker = ViewMaker(
        expressions, render, augmentation, scales, config.points, stride,
        drop_rate=config.drop_strokes, crop=config.crop,
    )  # fmt: skip
    fit(module, stream, maker, run, title="pretrain")

    about = {"kind": "encoder", "config": config.encoder.model_dump(mode="json")}
    save_module(module.encoder, out / "encoder.safetensors", about)
    return write_outcome(module.curves, METRICS, out)
