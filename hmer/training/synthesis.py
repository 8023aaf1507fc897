"""Written expressions for a training: which generators, and how their batches are mixed in."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import model_validator

from hmer.data.batches import BatchStream, Maker, Stream
from hmer.data.collate import Batch
from hmer.data.dataset import Expressions
from hmer.data.supervised import SupervisedMaker
from hmer.data.synthetic_batches import MixedMaker, MixedStream, MixingConfig
from hmer.synthesis.base import CAPTIONS, HELD_OUT, Leakage, Synthesiser, read_captions
from hmer.synthesis.generators import Generators, GeneratorsConfig
from hmer.synthesis.glyphs.cache import bank_of
from hmer.synthesis.grammar.fitted import Limits


class SynthesisConfig(GeneratorsConfig):
    """Expressions made of the training ink, and their part in the training."""

    mixing: MixingConfig = MixingConfig()

    @property
    def wanted(self) -> bool:
        """Whether any batch is written."""
        return max(self.mixing.share, self.mixing.first) > 0

    @model_validator(mode="after")
    def _something_can_be_written(self) -> Self:
        if not self.wanted:
            return self
        if not self.decompose + self.recombine + self.compose:
            raise ValueError("decompose, recombine and compose are all 0: nothing can be written")
        least = Limits().min_tokens
        if not self.decompose + self.recombine and self.mixing.shortest < least:
            raise ValueError(
                f"mixing.shortest allows {self.mixing.shortest} tokens, but compose alone writes "
                f"{least} and more; raise it"
            )
        return self


def synthesiser(
    config: SynthesisConfig, path: Path, train: Expressions, leakage: Leakage
) -> Synthesiser:
    """The generators, made of the training split (`path`, loaded as `train`).

    Raises:
        HmerError: its ink does not say which strokes write which token.
    """
    captions = read_captions(path.parent / CAPTIONS)
    return Generators(config, train, lambda: bank_of(path), leakage, captions)


def mixed(
    config: SynthesisConfig,
    dataset: Path,
    train: Expressions,
    stream: BatchStream,
    maker: SupervisedMaker,
    batches: int,
) -> tuple[Stream, Maker[Batch]]:
    """Stream and maker with written batches among the real ones; unchanged if none is wanted.

    `dataset` is a folder with train.parquet, loaded as `train`, and held_out.json; `batches` are
    those of the whole training.

    Raises:
        HmerError: what is held out is not said, or the ink has no symbols.
    """
    if not config.wanted:
        return stream, maker
    leakage = Leakage.read(dataset / HELD_OUT)
    writing = MixedMaker(
        maker,
        synthesiser(config, dataset / "train.parquet", train, leakage),
        stream.buckets,
        stream.config,
        stream.scale_range,
        stream.seed,
        config.mixing.chunk,
    )
    return MixedStream(stream, config.mixing, batches), writing
