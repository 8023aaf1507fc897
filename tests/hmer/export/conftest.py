"""The tiny recogniser as ONNX."""

from __future__ import annotations

from pathlib import Path

import pytest

from hmer.export.folder import export
from hmer.models.about import About
from hmer.recognizer import Recognizer


@pytest.fixture(scope="session")
def exported(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recogniser of `model_folder`; not to be changed."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="the extra 'export' is not installed")
    out = tmp_path_factory.mktemp("onnx") / "exported"
    read = Recognizer.load(model_folder)
    export(read.model, About(read.vocabulary, read.render, read.render), out, int8=False)
    return out
