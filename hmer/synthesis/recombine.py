"""New expressions from parts of several: other hands' symbols, other symbols, other groups.

Starts from a real expression or a piece of one, and changes it: the ink of a symbol becomes
another writer's of the same class, or of another class of its category; and whole groups are
exchanged: a numerator for a numerator, a script for a script, an operand for an operand. What
comes in is written in the size and on the baseline of what it replaces; the rest makes room.
(Yang et al., "Handwritten mathematical expression recognition: ICDAR 2020 competition", use the
same three levels: symbol, sub-expression, expression.)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hmer.data.dataset import Expressions
from hmer.errors import HmerError, InkError
from hmer.ink.scale import typical_size
from hmer.ink.strokes import Ink
from hmer.latex.commands import ROOT
from hmer.latex.tree import Relation
from hmer.synthesis.bank import GlyphBank
from hmer.synthesis.baselines import STRETCHING
from hmer.synthesis.decompose import DecomposeConfig, Decomposer
from hmer.synthesis.leakage import Leakage
from hmer.synthesis.lookalikes import Lookalikes
from hmer.synthesis.measure import bank_extents, measure
from hmer.synthesis.parts import Part, extent, spelled, take, to_ink
from hmer.synthesis.pieces import Material, row_spans
from hmer.synthesis.radical import fit_radical, split_radical
from hmer.synthesis.reflow import Step, look, settle
from hmer.synthesis.written import Written

KIND = "recombine"
