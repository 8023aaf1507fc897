"""Written expressions for a training: which generators, and how their batches are mixed in."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from hmer.data.dataset import Expressions
from hmer.data.mixing import MixedStream, MixingConfig
from hmer.data.stream import BatchStream, Maker, Stream
from hmer.data.supervised import SupervisedMaker
from hmer.data.written import MixedMaker
from hmer.models.interface import Batch
from hmer.synthesis.compose import ComposeConfig, Composer
from hmer.synthesis.cutting import cut_bank, read_training_inks
from hmer.synthesis.decompose import DecomposeConfig, Decomposer
from hmer.synthesis.fitted import FittedConfig, FittedGrammar
from hmer.synthesis.leakage import HELD_OUT, Leakage
from hmer.synthesis.mixture import Allowed, Mixture
from hmer.synthesis.recombine import RecombineConfig, Recombiner
from hmer.synthesis.written import Synthesiser


class SynthesisConfig(BaseModel):
    """Expressions made of the training ink, and their part in the training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mixing: MixingConfig = MixingConfig()
    decompose: float = Field(1.0, ge=0, description="weight of pieces of expressions")
    recombine: float = Field(0.0, ge=0, description="weight of expressions of exchanged parts")
    compose: float = Field(0.0, ge=0, description="weight of new expressions in real glyphs")
    decomposing: DecomposeConfig = DecomposeConfig()
    recombining: RecombineConfig = RecombineConfig()
    grammar: FittedConfig = FittedConfig()
    composing: ComposeConfig = ComposeConfig()

    @property
    def wanted(self) -> bool:
        """Whether any batch is written."""
        return max(self.mixing.share, self.mixing.first) > 0


def synthesiser(
    config: SynthesisConfig, path: Path, train: Expressions, leakage: Leakage
) -> Synthesiser:
    """The generators, made of the training split (`path`, loaded as `train`).

    Raises:
        HmerError: its ink does not say which strokes write which token.
    """
    decomposer = Decomposer(train, config.decomposing, leakage)
    parts: list[tuple[float, Synthesiser]] = [(config.decompose, decomposer)]
    if config.recombine or config.compose:
        bank, _ = cut_bank(read_training_inks(path))
        if config.recombine:
            recombiner = Recombiner(train, bank, config.recombining, leakage, decomposer)
            parts.append((config.recombine, recombiner))
        if config.compose:
            grammar = FittedGrammar(train.tokens, config.grammar)
            composer = Composer(bank, grammar, config.composing)
            parts.append((config.compose, Allowed(composer, leakage)))
    return Mixture(parts)


def mixed(
    config: SynthesisConfig,
    dataset: Path,
    train: Expressions,
    stream: BatchStream,
    maker: SupervisedMaker,
    steps: int,
) -> tuple[Stream, Maker[Batch]]:
    """Stream and maker with written batches among the real ones; unchanged if none is wanted.

    Args:
        config: parameters.
        dataset: folder with train.parquet and held_out.json.
        train: the former, loaded.
        stream: of real batches.
        maker: of real batches.
        steps: of the whole training.

    Raises:
        HmerError: what is held out is not told, or the ink has no symbols.
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
    return MixedStream(stream, config.mixing, steps), writing
