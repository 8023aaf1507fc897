"""The glyph bank of a training split, cut once and kept beside the data set.

Not in the data set's folder, which is an output of a pipeline stage, and ignored by Git: a bank is
under the licence of the ink it was cut from. Where the split or the code that cuts has changed, or
the file is damaged, it is cut again.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from hmer.errors import HmerError
from hmer.synthesis.base import ISOLATED
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.cutting import cut_bank, read_training_inks
from hmer.synthesis.glyphs.foreign import extended

FOLDER = ".glyphs"
"""Name of the folder with banks, beside the data sets that they were cut from."""

CODE = (
    "hmer.files",
    "hmer.ink.codec",
    "hmer.ink.strokes",
    "hmer.latex.tree",
    "hmer.synthesis.glyphs.bank",
    "hmer.synthesis.glyphs.cutting",
    "hmer.synthesis.glyphs.font",
    "hmer.synthesis.glyphs.foreign",
    "hmer.synthesis.layout.radical",
)
"""The modules that decide what a bank holds."""

_log = logging.getLogger(__name__)


def bank_of(train: Path) -> GlyphBank:
    """The glyph bank of a training split: the one that is kept, or else cut now, and kept.

    Where it cannot be kept (a data set on a disk that is read only, say) it is cut every time.

    Raises:
        HmerError: the split is missing or damaged, not for training, or has no glyphs.
    """
    path = bank_path(train)
    about = {"split": split_digest(train), "code": code_digest()}
    if path.exists():
        try:
            bank = GlyphBank.load(path)
            if all(bank.about.get(key) == value for key, value in about.items()):
                return bank
            reason = f"{path}: cut from another training split, or by another version of the code"
        except HmerError as error:
            reason = str(error)
        _log.warning("%s; cutting it again", reason)
    bank = cut_bank(read_training_inks(train))
    if (isolated := train.parent / ISOLATED).is_file():
        bank = extended(bank, GlyphBank.load(isolated))
    bank = replace(bank, about=about)
    try:
        bank.save(path)
        with suppress(OSError):  # only convenience: nobody is to commit a bank by mistake
            (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    except HmerError as error:
        _log.warning("%s; it will be cut again next time", error)
    return bank


def open_bank(path: Path) -> GlyphBank:
    """A bank by its file, or by the training split or data set that it is cut from.

    Raises:
        HmerError: there is no such file, or it is damaged.
    """
    split = split_file(path)
    return GlyphBank.load(path) if split is None else bank_of(split)


def split_file(path: Path) -> Path | None:
    """The training split that a path names: a Parquet file, or the one in a data set's folder."""
    if path.is_dir():
        inside = path / "train.parquet"
        return inside if inside.is_file() else None
    return path if path.suffix == ".parquet" else None


def bank_path(train: Path) -> Path:
    """Where the bank of a training split is kept."""
    folder = train.resolve().parent
    return folder.parent / FOLDER / f"{folder.name}-{train.stem}.safetensors"


def split_digest(train: Path) -> str:
    """Names the content of a split, and the isolated symbols beside it, if there are any.

    Raises:
        HmerError: it cannot be read.
    """
    isolated = train.parent / ISOLATED
    try:
        with train.open("rb") as file:
            found = hashlib.file_digest(file, "sha256")
        if isolated.is_file():
            found.update(isolated.read_bytes())
        return found.hexdigest()
    except OSError as error:
        raise HmerError(
            f"{train}: no such data set split ({error.strerror}); ingest the data first"
        ) from error


@cache
def code_digest() -> str:
    """Names the code that cuts banks."""
    found = hashlib.sha256()
    for name in CODE:
        spec = find_spec(name)
        assert spec is not None and spec.origin is not None, name
        found.update(Path(spec.origin).read_bytes())
    return found.hexdigest()
