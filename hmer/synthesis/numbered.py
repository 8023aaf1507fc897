"""Written expressions by number: the same one whatever else is written, and in which order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hmer.errors import HmerError
from hmer.synthesis.written import Synthesiser, Written

PATIENCE = 200
"""Draws for one expression that may come to nothing."""

_STREAM = 5  # keeps these draws apart from all others under the same seed


@dataclass
class Numbered:
    """A generator as a list without end.

    Attributes:
        synthesiser: the generator.
        seed: with the number of an expression it decides everything.
        nothing: how many draws came to nothing.
    """

    synthesiser: Synthesiser
    seed: int
    nothing: int = 0

    def __getitem__(self, number: int) -> Written:
        """Expression `number`, from 0 on.

        Raises:
            HmerError: draw after draw comes to nothing.
        """
        rng = np.random.default_rng([self.seed, _STREAM, number])
        for _ in range(PATIENCE):
            written = self.synthesiser(rng)
            if written is not None:
                return written
            self.nothing += 1
        raise HmerError(
            f"expression {number}: {PATIENCE} draws came to nothing; the training split is too "
            "small for this generator, or nearly all it could write is held out"
        )
