"""BTTR (Zhao et al., ICDAR 2021): a transformer that reads from both ends."""

from __future__ import annotations

from hmer.models.base import Entry
from hmer.models.common.grid import GridConfig, GridRecogniser


class BTTR(GridRecogniser):
    """Plain attention on the whole grid, no coverage; the loss is of the words alone."""


ENTRY = Entry(GridConfig, BTTR, "wap")
