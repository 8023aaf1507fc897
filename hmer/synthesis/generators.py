"""The generators decompose, recombine and compose together, as made of one training split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hmer.errors import HmerError
from hmer.latex.tree import parse
from hmer.synthesis.base import Allowed, Leakage, Mixture, Synthesiser, Written
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
        0.5, ge=0, le=1, description="share of new expressions that are captions of elsewhere"
    )
    decomposing: DecomposeConfig = DecomposeConfig()
    recombining: RecombineConfig = RecombineConfig()
    composing: ComposeConfig = ComposeConfig()

    @property
    def needs_bank(self) -> bool:
        """Whether a generator of positive weight writes with glyphs of a bank."""
        return bool(self.recombine or self.compose)


@dataclass
class Generators:
    """A mixture of generators and an account of what it leaves out; a picklable `Synthesiser`.

    Attributes:
        leakages: by generator; each counts the captions that it must not write.
        skipped: expressions of the split without ink, or whose symbols contradict their caption;
            None where no generator takes expressions apart.
    """

    mixture: Mixture
    leakages: dict[str, Leakage]
    composer: Composer | None = None
    skipped: int | None = None

    @classmethod
    def of(
        cls,
        config: GeneratorsConfig,
        train: InkedCaptions,
        bank: Callable[[], GlyphBank],
        leakage: Leakage,
        captions: Sequence[Sequence[str]] = (),
    ) -> Generators:
        """Make them.

        Args:
            config: which, and how.
            train: captions and ink of the training split.
            bank: the glyphs cut from it; called only if they are needed.
            leakage: captions that must not come out.
            captions: of elsewhere, to be composed.

        Raises:
            HmerError: all weights are 0, or the ink does not say which strokes write which token.
        """
        if not config.decompose + config.recombine + config.compose:
            raise HmerError("decompose, recombine and compose are all 0: nothing would be written")
        leakages: dict[str, Leakage] = {}

        def guard(name: str) -> Leakage:
            leakages[name] = replace(leakage, excluded=0)
            return leakages[name]

        glyphs = bank() if config.needs_bank else None
        parts: list[tuple[float, Synthesiser]] = []
        pieces: Decomposer | None = None
        composer: Composer | None = None
        if config.decompose or config.recombine:
            pieces = Decomposer(train, config.decomposing, guard("decompose"))
            parts.append((config.decompose, pieces))
        if config.recombine and glyphs is not None:
            changed = Recombiner(train, glyphs, config.recombining, guard("recombine"), pieces)
            parts.append((config.recombine, changed))
        if config.compose and glyphs is not None:
            grammar = FittedGrammar(train.tokens)
            rows = [parse(caption) for caption in captions]
            sampler = Listed(rows, config.listed, grammar) if rows else grammar
            composer = Composer(glyphs, sampler, config.composing)
            parts.append((config.compose, Allowed(composer, guard("compose"))))
        skipped = None if pieces is None else pieces.material.skipped
        return cls(Mixture(parts), leakages, composer, skipped)

    def __call__(self, rng: np.random.Generator) -> Written | None:
        """What the drawn generator makes."""
        return self.mixture(rng)

    def excluded(self) -> dict[str, int]:
        """By generator: how often a caption came up that must not be written.

        For `decompose` these are pieces of the ink, which were looked at once (by `recombine`,
        too, which starts from such pieces); the others draw.
        """
        return {name: leakage.excluded for name, leakage in self.leakages.items()}

    def from_font(self) -> dict[str, int]:
        """Symbols that the bank lacked and the vector font wrote, by token."""
        return {} if self.composer is None else dict(sorted(self.composer.missing.items()))
