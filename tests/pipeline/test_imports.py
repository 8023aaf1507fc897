from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.imports import reach

FILES = {
    "hmer/__init__.py": "",
    "hmer/a.py": """
from __future__ import annotations
import json, numpy as np
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import hidden
    from hmer import unseen
else:
    from hmer import shown
def f():
    from hmer.sub.deep import thing
    from . import near
    import torch.nn.functional
""",
    "hmer/shown.py": "",
    "hmer/unseen.py": "",
    "hmer/near.py": "from .sub import deep  # a circle is no harm\nimport hmer.a",
    "hmer/sub/__init__.py": "from hmer.sub.other import x",
    "hmer/sub/deep.py": "from ..data import LOADER",
    "hmer/sub/other.py": "",
    "hmer/sub/unused.py": "",
    "hmer/data.py": "LOADER = 1",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_everything_that_runs_is_found(project: Path) -> None:
    found = reach("hmer.a", project)
    unused = {"hmer/unseen.py", "hmer/sub/unused.py"}
    assert found.files == set(FILES) - unused
    assert found.foreign == {"numpy", "torch"}


def test_an_unknown_module(project: Path) -> None:
    with pytest.raises(ValueError, match=r"no module hmer\.nothing"):
        reach("hmer.nothing", project)
