"""A weighted grammar of school and university expressions.

Every production returns a row of the structure tree, so what is sampled can be written down
(`hmer.synthesis.layout.layout`) and spelled (`hmer.latex.serialise`) without parsing.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hmer.errors import HmerError
from hmer.latex.serialise import serialise
from hmer.latex.tree import Row
from hmer.synthesis.grammar.inventory import INVENTORIES, Symbols
from hmer.synthesis.grammar.statements import Statements

_ATTEMPTS = 2000


class GrammarConfig(BaseModel):
    """What expressions are sampled. The defaults suit a small model on one processor.

    The weights are relative frequencies of the kinds of terms; a weight of 0 switches one off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbols: Symbols = "school"
    min_tokens: int = Field(default=3, ge=1, le=200)
    max_tokens: int = Field(default=14, ge=1, le=200)
    max_depth: int = Field(default=2, ge=0, le=8)
    plain: float = Field(default=3.0, gt=0)
    powers: float = Field(default=2.0, ge=0)
    subscripts: float = Field(default=0.9, ge=0)
    fractions: float = Field(default=2.4, ge=0)
    roots: float = Field(default=1.0, ge=0)
    functions: float = Field(default=0.7, ge=0)
    brackets: float = Field(default=0.7, ge=0)
    operators: float = Field(default=1.2, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> GrammarConfig:
        if self.min_tokens > self.max_tokens:
            raise ValueError("min_tokens must not exceed max_tokens")
        return self


class Grammar:
    """Samples expressions; holds no state besides its configuration."""

    def __init__(self, config: GrammarConfig | None = None) -> None:
        self.config = config or GrammarConfig()
        c = self.config
        self._weights = {
            "plain": c.plain,
            "power": c.powers,
            "subscript": c.subscripts,
            "fraction": c.fractions,
            "root": c.roots,
            "function": c.functions,
            "bracket": c.brackets,
            "operator": c.operators,
        }

    def sample(self, rng: np.random.Generator) -> Row:
        """One expression within the length and depth limits.

        Raises:
            HmerError: the limits leave nothing that the grammar can make.
        """
        config = self.config
        productions = Statements(INVENTORIES[config.symbols], self._weights, config.max_depth, rng)
        for _ in range(_ATTEMPTS):
            row = productions.statement()
            if config.min_tokens <= len(serialise(row)) <= config.max_tokens:
                return row
        raise HmerError(
            f"no expression of {config.min_tokens} to {config.max_tokens} tokens was found in "
            f"{_ATTEMPTS} attempts; widen min_tokens and max_tokens"
        )
