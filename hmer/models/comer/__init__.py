"""CoMER (Zhao and Gao, ECCV 2022), as published; see `hmer.models.common.comer`."""

from __future__ import annotations

from hmer.models.base import Entry
from hmer.models.common.comer import CoMER, CoMERConfig

ENTRY = Entry(CoMERConfig, CoMER, "comer")
