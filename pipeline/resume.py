"""Where an interrupted training finds itself again.

Resume state cannot be a DVC output: DVC deletes outputs before it runs a stage, and `persist`
would keep them across a change of parameters, so that a checkpoint of other settings would be
continued without a word. It therefore lives in `.resume/<stage>/<fingerprint>/`, where the
fingerprint covers everything the stage declares to depend on: parameters, data and code.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hmer.errors import HmerError
from pipeline.declaration import Declaration
from pipeline.sections import lookup

RESUME = ".resume"
FLOW_LOCK = f"{RESUME}/flow.lock"
"""Held by whoever runs the whole pipeline."""
IGNORED = ("__pycache__",)


def fingerprint(declared: Declaration, params: Mapping[str, Any], root: Path) -> str:
    """SHA-256 over the declared parameters and the content of the declared dependencies.

    Raises:
        HmerError: a declared dependency is missing.
    """
    digest = hashlib.sha256()
    for key in sorted(declared.params):
        try:
            value = lookup(params, key)
        except KeyError:
            value = None
        digest.update(json.dumps([key, value], sort_keys=True, default=str).encode())
    for dep in sorted(declared.deps):
        if not (root / dep).exists():
            raise HmerError(f"{dep} is missing: run `dvc repro {declared.name}`, which makes it")
        digest.update(json.dumps([dep, content_digest(root / dep)]).encode())
    return digest.hexdigest()


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files in a folder."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for child in sorted(path.iterdir()):
        if child.name not in IGNORED:
            digest.update(json.dumps([child.name, content_digest(child)]).encode())
    return digest.hexdigest()


def resume_folder(root: Path, stage: str, print_: str, prune: bool = True) -> Path:
    """The folder for one fingerprint, made.

    Args:
        root: the project.
        stage: its name.
        print_: its fingerprint.
        prune: remove those of other fingerprints. Of several processes that train one model, one.
    """
    home = root / RESUME / stage
    folder = home / print_[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for other in home.iterdir() if prune else ():
        if other.is_dir() and other != folder:
            shutil.rmtree(other)
    return folder


def forget(folder: Path) -> None:
    """Remove the state of a training that has ended well."""
    shutil.rmtree(folder, ignore_errors=True)
