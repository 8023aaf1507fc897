"""Phase 3, *Mask & Match*: supervised training of the whole recogniser.

*From the abstract* (arXiv 2508.06107): fine-tuning with a transformer decoder that emits LaTeX.
*Our design*: both reading directions share one decoder (BTTR), a symbol-per-cell loss and
guided attention where the segmentation is known, masking goes on, at a growing rate, the weights
are averaged over time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hmer.data.batches import BatchConfig, BatchStream, fixed_plans
from hmer.data.collate import Batch
from hmer.data.dataset import Expressions, load_expressions
from hmer.data.drawing import split_scale
from hmer.data.supervised import SupervisedMaker
from hmer.data.synthetic_batches import SynthesisConfig, mixed
from hmer.errors import HmerError
from hmer.ink.augment import AugmentConfig
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import Vocabulary
from hmer.masking import Curriculum, hide_ink
from hmer.models.base import Recogniser
from hmer.models.checkpoint import save_module
from hmer.models.registry import ModelConfig
from hmer.synthesis.glyphs.cache import bank_of
from hmer.training.fit import RunContext, fit
from hmer.training.lone_symbol import fit_lone_symbols
from hmer.training.module import SteppedModule
from hmer.training.optimisation import OptimisationConfig
from hmer.training.warm_start import Init, further, initial


@torch.inference_mode()
def teacher_forced(
    model: Recogniser,
    maker: SupervisedMaker,
    batch: BatchConfig,
    precision: str,
    name: str = "val",
    new: NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """Loss and ExpRate on a validation set, under `name`.

    `val_exprate_forced`: percent of captions (read from left to right) of which every token is
    the likeliest one given the true tokens before it. Greedy decoding gives exactly these
    captions, so this is the greedy ExpRate, without running a decoder. `val_exprate_new`: the same
    of the captions that are `new` (n,), none of the training's, if there are any.
    """
    total = tokens = 0.0
    right = np.zeros(len(maker.expressions), dtype=bool)
    device = next(model.parameters()).device
    enabled = precision == "bf16-mixed"
    for _, plan in fixed_plans(maker.expressions.sizes, batch, model.stride):
        made = maker(plan, np.random.default_rng(0)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=enabled):
            _, logits = model.losses(made)
        logits = logits.float()
        known = made.targets != Vocabulary.pad
        total += float(
            functional.cross_entropy(logits[known], made.targets[known], reduction="sum")
        )
        tokens += float(known.sum())
        forth = slice(0, len(made.images))
        # What the search never writes is no rival of the true token either.
        logits[..., [Vocabulary.pad, Vocabulary.sos]] = -torch.inf
        hit = (logits[forth].argmax(dim=-1) == made.targets[forth]) | ~known[forth]
        right[plan.samples] = hit.all(dim=1).cpu().numpy()
    found = {f"{name}_loss": total / tokens, f"{name}_exprate_forced": 100 * float(right.mean())}
    if new is not None and new.any():
        found[f"{name}_exprate_new"] = 100 * float(right[new].mean())
    return found


class FinetuneConfig(BaseModel):
    """Parameters of phase 3."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    init: Init = Field(
        "auto",
        description="start from nothing, from the encoder, or from encoder and attention; auto: "
        "from all that the recogniser has a place for",
    )
    start: str | None = Field(
        None,
        description="folder that it starts from: what the phases before have made, a trained "
        "recogniser (hmer/shipped is one) to go on from, with larger sizes if `model` says so, or "
        "the whole state of a training (last.ckpt)",
    )
    labels: float = Field(1.0, gt=0, le=1, description="share of the training captions used")
    optimisation: OptimisationConfig
    batch: BatchConfig = BatchConfig()
    augment: AugmentConfig = AugmentConfig()
    pictured: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of inks read back as pictures: scale, pen and slant are estimated",
    )
    masking: Curriculum = Curriculum(start=0.0, end=0.4)
    masked: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of expressions that are masked, each up to the share of `masking`",
    )
    block: float = Field(0.6, gt=0, le=8, description="side of a hidden block in symbol units")
    rescaled: bool = Field(
        False, description="train at base.render.unit although `start` has another scale"
    )
    drop_symbols: bool = Field(
        False, description="leave out symbols of `start` that the captions' vocabulary lacks"
    )
    reading_unit: float | None = Field(
        None, ge=4, le=64, description="pixels per symbol at which it reads; as in training if None"
    )
    lone_symbols: int = Field(
        0,
        ge=0,
        description="single symbols that a classifier of such is fitted on when the training is "
        "over, for `mask-match`; 0: it has none",
    )
    average: float = Field(0.99, ge=0, lt=1, description="decay of the weight average; 0: none")
    synthesis: SynthesisConfig = SynthesisConfig()
    validate_on: int = Field(256, ge=1, description="validation expressions looked at per leg")

    @model_validator(mode="after")
    def _captions_are_all_used_or_none_written(self) -> Self:
        if self.labels < 1 and self.synthesis.wanted:
            raise ValueError(
                "labels: written expressions are made of all training captions; set "
                "synthesis.mixing.share and .first to 0, or labels to 1"
            )
        return self


class Finetune(SteppedModule):
    """A recogniser under its supervised losses, and its slow average."""

    def __init__(self, config: FinetuneConfig, model: Recogniser, block: int, seed: int) -> None:
        super().__init__(config.optimisation, seed)
        self.config = config
        self.block = block
        self.model = model
        self.about: dict[str, Any] = {}
        self.average = AveragedModel(
            self.model,
            multi_avg_fn=get_ema_multi_avg_fn(config.average),  # type: ignore[no-untyped-call]
            use_buffers=True,
        ).requires_grad_(False)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed the step; the average does not learn statistics of its own."""
        super().on_train_batch_start(batch, batch_idx)
        self.average.eval()

    def losses(self, batch: Batch) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """The recogniser's losses; measured: share of tokens right under teacher forcing."""
        progress = self.global_step / self.optimisation.steps
        images = batch.images
        share = self.config.masking.share(progress)
        if share and self.config.masked:
            shares = share * torch.rand(len(images), 1, device=images.device)
            masked, _ = hide_ink(images, shares, self.block)
            chosen = torch.rand(len(images), device=images.device) < self.config.masked
            images = torch.where(chosen[:, None, None, None], masked, images)
        losses, logits = self.model.losses(replace(batch, images=images))
        known = batch.targets != Vocabulary.pad
        right = (logits.argmax(dim=-1) == batch.targets) & known
        return losses, {"token_accuracy": right.sum() / known.sum()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the state is of: a training that goes on from it checks."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["about"] = self.about

    def after_step(self) -> None:
        """Follow the weights."""
        self.average.update_parameters(self.model)

    def best(self) -> Recogniser:
        """The recogniser to keep: the averaged one, in evaluation mode."""
        # With a decay of 0 the average is a copy of the newest weights: it can be put into
        # evaluation mode between two legs without the training noticing.
        kept = self.average.module
        assert isinstance(kept, Recogniser)
        return kept.eval()


def finetune(
    config: FinetuneConfig,
    choice: ModelConfig,
    render: RenderConfig,
    dataset: Path,
    encoder: Path,
    attention: Path,
    start: Path | None,
    out: Path,
    run: RunContext,
    seed: int,
) -> dict[str, float]:
    """Train the recogniser and write it with its curves and metrics.

    Args:
        config: parameters.
        choice: the recogniser to train.
        render: scale at which ink is drawn, here and by the recogniser ever after.
        dataset: folder with train.parquet, val.parquet, vocabulary.json.
        encoder, attention: weights from phase 1 and 2.
        start: folder of a recogniser to go on from, in place of both.
        out: existing directory; gets model.safetensors, model.json, curves.csv, metrics.json.
        run: surroundings.
        seed: of everything random.
    """
    vocabulary = Vocabulary.from_json((dataset / "vocabulary.json").read_text(encoding="utf-8"))
    train: Expressions = load_expressions(dataset / "train.parquet").share(config.labels, seed)
    torch.manual_seed(seed)
    if config.lone_symbols and choice.name != "mask-match":
        raise HmerError(
            f"finetune.lone_symbols: {choice.name} has no place for a classifier of such; set it "
            "to 0"
        )
    if config.lone_symbols:
        bank_of(dataset / "train.parquet")  # what has no glyphs is refused before the training
    known = None
    if start:
        known = further(
            choice, start, vocabulary, render, rescaled=config.rescaled, drop=config.drop_symbols
        )
    model = known.model if known else initial(choice, config.init, vocabulary, encoder, attention)
    module = Finetune(config, model, max(2, round(config.block * render.unit)), seed)
    module.about = {
        "name": choice.name,
        "config": model.config.model_dump(mode="json"),
        "render": render.model_dump(mode="json"),
        "vocabulary": vocabulary.to_json(),
    }
    augmentation, scales = split_scale(config.augment)
    lengths = np.array([len(tokens) for tokens in train.tokens], dtype=np.int64)
    real = BatchStream(train.sizes, config.batch, model.stride, seed, scales, lengths=lengths)
    drawn = SupervisedMaker(train, vocabulary, render, augmentation, model.stride, config.pictured)
    batches = config.optimisation.steps * config.optimisation.batches
    stream, maker = mixed(config.synthesis, dataset, train, real, drawn, batches)
    captions = {tuple(tokens) for tokens in train.tokens}
    checks = {}
    for path in (dataset / "val.parquet", *sorted(dataset.glob("dev-*.parquet"))):
        held_out = load_expressions(path)
        chosen = held_out.share(min(1.0, config.validate_on / len(held_out)), seed)
        new = np.array([tuple(tokens) not in captions for tokens in chosen.tokens])
        checks[path.stem] = SupervisedMaker(chosen, vocabulary, render, None, model.stride), new

    def measure() -> dict[str, float]:
        best, arithmetic = module.best(), config.optimisation.arithmetic
        found: dict[str, float] = {}
        for name, (check, new) in checks.items():
            key = name.replace("-", "_")
            found |= teacher_forced(best, check, config.batch, arithmetic, key, new)
        return found

    state = known.state if known else None
    fit(module, stream, maker, run, measure=measure, title="finetune", state=state)

    best = module.best()
    if config.lone_symbols:
        reads = render.model_copy(update={"unit": config.reading_unit or render.unit})
        fit_lone_symbols(best, dataset, vocabulary, reads, config.lone_symbols, seed)
    about = {
        "kind": "recogniser",
        "name": choice.name,
        "config": best.config.model_dump(mode="json"),
        "render": render.model_dump(mode="json"),
        **({"reading_unit": config.reading_unit} if config.reading_unit else {}),
        "vocabulary": json.loads(vocabulary.to_json()),
        **({"start": known.digest} if known and known.digest else {}),
        **({"calibration": known.calibration._asdict()} if known and known.calibration else {}),
    }
    save_module(best.for_reading(), out / "model.safetensors", about)
    names = ("loss", "token_accuracy", "val_loss", "val_exprate_forced")
    return module.curves.write_outcome(out, names)
