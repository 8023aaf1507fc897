"""The generators decompose, recombine and compose together, as made of one training split."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hmer.errors import HmerError
from hmer.latex.tree import parse
from hmer.synthesis.base import Leakage, Synthesiser, Written, draw, running
from hmer.synthesis.compose import ComposeConfig, Composer, Listed
from hmer.synthesis.decompose import DecomposeConfig, Decomposer
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.grammar.fitted import FittedGrammar
from hmer.synthesis.ink_index import InkedCaptions
from hmer.synthesis.recombine.recombine import RecombineConfig, Recombiner


class GeneratorsConfig(BaseModel):
    """Which generators write, how much each, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decompose: float = Field(1.0, ge=0, description="weight of pieces of expressions")
    recombine: float = Field(0.0, ge=0, description="weight of expressions of exchanged parts")
    compose: float = Field(0.0, ge=0, description="weight of new expressions in real glyphs")
    listed: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of new expressions that are captions of elsewhere, drawn about as long "
        "as those of training",
    )
    decomposing: DecomposeConfig = DecomposeConfig()
    recombining: RecombineConfig = RecombineConfig()
    composing: ComposeConfig = ComposeConfig()


class Generators:
    """A mixture of generators and an account of it; a picklable `Synthesiser`.

    Attributes:
        skipped: expressions of the split without ink, or whose symbols contradict their caption;
            None where no generator takes expressions apart.
    """

    def __init__(
        self,
        config: GeneratorsConfig,
        train: InkedCaptions,
        bank: Callable[[], GlyphBank],
        leakage: Leakage,
        captions: Sequence[Sequence[str]] = (),
    ) -> None:
        """Make those of positive weight.

        Args:
            config: which, and how.
            train: captions and ink of the training split.
            bank: the glyphs cut from it; called only if they are needed.
            leakage: captions that must not come out; it counts them.
            captions: of elsewhere, to be composed.

        Raises:
            HmerError: all weights are 0, or the ink does not say which strokes write which token.
        """
        if not config.decompose + config.recombine + config.compose:
            raise HmerError("decompose, recombine and compose are all 0: nothing would be written")
        weights: list[float] = []
        self.parts: list[Synthesiser] = []
        self.leakage = leakage
        self.skipped: int | None = None
        self.composer: Composer | None = None
        glyphs = bank() if config.recombine or config.compose else None
        if config.decompose or config.recombine:
            pieces = Decomposer(train, config.decomposing, leakage)
            self.skipped = pieces.material.skipped
            weights.append(config.decompose)
            self.parts.append(pieces)
            if config.recombine and glyphs is not None:
                weights.append(config.recombine)
                self.parts.append(Recombiner(pieces, glyphs, config.recombining, leakage))
        if config.compose and glyphs is not None:
            grammar = FittedGrammar(train.tokens)
            rows = [parse(caption) for caption in captions]
            lengths = [len(tokens) for tokens in train.tokens]
            sampler = Listed(rows, config.listed, grammar, lengths) if rows else grammar
            known = [*map(parse, train.tokens), *rows]
            self.composer = Composer(glyphs, sampler, config.composing, known)
            weights.append(config.compose)
            self.parts.append(self.composer)
        self._below = running(np.array(weights))

    def __call__(self, rng: np.random.Generator) -> Written | None:
        """What a generator makes, drawn by weight; None also where that must not be written."""
        part = self.parts[draw(self._below, rng)]
        written = part(rng)
        # The others are kept from it where they choose, so that they need not be asked again.
        if part is self.composer and written and not self.leakage.allows(written.tokens):
            return None
        return written

    def from_font(self) -> dict[str, int]:
        """Symbols that the bank lacked and the vector font wrote, by token."""
        return {} if self.composer is None else dict(sorted(self.composer.missing.items()))
