"""The glyph bank of a training split, cut once and kept beside the data set.

The file lies beside the data set's folder and not in it, since that is an output of a pipeline
stage; its folder is ignored by Git: a bank is under the licence of the ink it was cut from. It is
named after the split and says what it was cut from and by which code; where either has changed,
or the file is damaged, the bank is cut again.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from hmer.errors import HmerError
from hmer.synthesis.base import ISOLATED
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.cutting import CutReport, cut_bank, read_training_inks
from hmer.synthesis.glyphs.foreign import extended

FOLDER = ".glyphs"
"""Name of the folder with banks, beside the data sets that they were cut from."""

CODE = (
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

_SPLIT, _CODE, _REPORT = "split", "code", "report"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptBank:
    """A bank and how it was come by.

    Attributes:
        bank: the bank.
        report: what became of the ink it was cut from.
        path: where it is kept.
        reason: why it had to be cut now; None where it was there.
    """

    bank: GlyphBank
    report: CutReport
    path: Path
    reason: str | None


def bank_of(train: Path) -> KeptBank:
    """The glyph bank of a training split: the one that is kept, or else cut now, and kept.

    Where it cannot be kept (a data set on a disk that is read only, say) it is cut every time.

    Raises:
        HmerError: the split is missing or damaged, not for training, or has no glyphs.
    """
    path, digest = bank_path(train), split_digest(train)
    try:
        bank = GlyphBank.load(path)
        reason = _outdated(bank, digest)
        if reason is None:
            return KeptBank(bank, CutReport.from_json(bank.about[_REPORT]), path, None)
    except HmerError as error:
        reason = str(error) if path.exists() else f"{path}: not there yet"
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{path}: does not say how it was cut ({error})"
    if path.exists():
        _log.warning("%s; cutting it again", reason)
    found, report = cut_bank(read_training_inks(train))
    if (isolated := train.parent / ISOLATED).is_file():
        found = extended(found, GlyphBank.load(isolated))
    about = {_SPLIT: digest, _CODE: code_digest(), _REPORT: report.to_json()}
    bank = replace(found, about=about)
    try:
        _keep(bank, path)
    except HmerError as error:
        _log.warning("%s; it will be cut again next time", error)
    return KeptBank(bank, report, path, reason)


def open_bank(path: Path, train: Path | None = None) -> GlyphBank:
    """A bank that someone names: its file, or the training split whose bank is wanted.

    Args:
        path: a file that `GlyphBank.save` wrote, a training split, or the folder of a data set.
        train: refuse a bank that was not cut from this training split.

    Raises:
        HmerError: there is no such file, it is damaged, or it was cut from something else.
    """
    split = split_file(path)
    bank = GlyphBank.load(path) if split is None else bank_of(split).bank
    if train is not None and bank.about.get(_SPLIT) != split_digest(train):
        raise HmerError(
            f"{path}: not cut from {train} as it is now; name no bank, and it is cut again"
        )
    return bank


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


def _outdated(bank: GlyphBank, digest: str) -> str | None:
    if bank.about.get(_SPLIT) != digest:
        return "the glyph bank was cut from another state of the training split"
    if bank.about.get(_CODE) != code_digest():
        return "the glyph bank was cut by another version of the code"
    return None


def _keep(bank: GlyphBank, path: Path) -> None:
    bank.save(path)
    with suppress(OSError):  # only convenience: nobody is to commit a bank by mistake
        (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
