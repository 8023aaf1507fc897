"""CoMER (Zhao and Gao, ECCV 2022), BTTR with refined attention; see `hmer.models.common.grid`."""

from __future__ import annotations

from hmer.models.base import Entry
from hmer.models.common.grid import CoMER, CoMERConfig

ENTRY = Entry(CoMERConfig, CoMER, "comer")
