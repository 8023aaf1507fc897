"""The champion as plain files, for `hmer recognize`, which knows nothing of MLflow.

`data/models/champion/` is a copy of what the registry's alias `champion` points to. It is not a
DVC output: like the registry it has a history that no single run of the pipeline determines (a
challenger that loses must leave it alone), and a `dvc checkout` of an older state must not change
who is champion. `python -m pipeline champion` fetches it again, for instance in a new clone.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hmer.files import atomic_folder
from pipeline.declaration import PARAMS
from pipeline.environment import lasting_root
from pipeline.registry.candidate import FILES
from pipeline.registry.promotion import RegisterConfig
from pipeline.sections import load_section

FOLDER = "data/models/champion"


def export(model: Path, root: Path) -> Path:
    """Put the recogniser in the folder `model` in place of the champion's files."""
    target = lasting_root(root) / FOLDER
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(target) as out:
        for name in FILES:
            shutil.copyfile(model / name, out / name)
    return target


def fetch(root: Path) -> Path:
    """Get the champion from the registry.

    Raises:
        HmerError: there is none, or the registry cannot hand it out.
    """
    from pipeline.registry.versions import download
    from pipeline.tracking.store import connect

    client, _ = connect(root)
    name = load_section(root / PARAMS, "register", RegisterConfig).name
    with tempfile.TemporaryDirectory() as folder:
        return export(download(client, name, "champion", Path(folder)), root)
