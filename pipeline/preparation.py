"""What comes before the first stage."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path

from hmer.files import atomic_file
from pipeline.declaration import PARAMS
from pipeline.resume import RESUME, content_digest

CHECKED = f"{RESUME}/checked.json"
"""File with the digest of the parameters that were last found right, and of what checked them."""


def check(root: Path, config: str | None, settings: tuple[str, ...]) -> None:
    """The errors of `prepare`, without writing parameters.

    Raises:
        HmerError: the parameters are wrong.
    """
    if config is None and not settings:
        check_file(root)
        return
    from pipeline.configurations import check_configuration

    check_configuration(root, config, settings)


def prepare(root: Path, config: str | None, settings: tuple[str, ...]) -> None:
    """Write the parameters that are asked for, and check all of them before anything runs.

    Raises:
        HmerError: they are wrong.
    """
    if config is not None or settings:
        from pipeline.configurations import configure

        configure(root, config, settings)
    check_file(root)


def check_file(root: Path) -> None:
    """Check `params.yaml`, unless this very file was found right by this very code.

    A check imports all that has parameters, torch included: five seconds, for which a run that has
    nothing to do has no use.

    Raises:
        HmerError: it is wrong.
    """
    digest = check_digest(root)
    if digest is not None and _known(root) == digest:
        return
    from pipeline.params import load_params

    load_params(root / PARAMS)
    if digest is not None:
        (root / CHECKED).parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(root / CHECKED) as partial:
            partial.write_text(json.dumps({"digest": digest}), encoding="utf-8")


def check_digest(root: Path) -> str | None:
    """SHA-256 of the parameters and of all code that could have a say in them; None without."""
    import pydantic

    import hmer
    import pipeline

    if not (root / PARAMS).is_file():
        return None
    code = [
        content_digest(file)
        for package in (hmer, pipeline)
        for folder in package.__path__
        for file in sorted(Path(folder).rglob("*.py"))
    ]
    versions = [platform.python_version(), pydantic.VERSION]
    parts = [content_digest(root / PARAMS), *code, *versions]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _known(root: Path) -> str | None:
    try:
        return str(json.loads((root / CHECKED).read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
