"""Normalised raw truths against the captions of the literature, every difference with its reason.

    CROHME_DIR=... python -m benchmarks.captions

`CROHME_DIR` holds `captions/{train,test2014}.txt` (`id<TAB>tokens`) and the InkML, as packages
`{train,test2014}.tar.xz` or as the folders in them. Needs a few seconds, no accelerator.
"""

from __future__ import annotations

import html
import os
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape

from hmer.errors import HmerError
from hmer.ingest.row_checks import caption_difference

SPLITS = {"train": "TrainINKML", "test2014": "TestEM2014GT"}
"""Split, which names captions and package, and the folder of its InkML."""

_TRUTH = re.compile(rb'<annotation\s+type="truth"\s*>(.*?)</annotation>', re.DOTALL)


class Pair(NamedTuple):
    """A raw truth and the literature's caption of the same file."""

    name: str
    raw: str
    caption: str


class Comparison(NamedTuple):
    """Outcome over one split: how many captions, and the pairs that differ, by reason."""

    total: int
    differences: dict[str, list[tuple[Pair, str]]]

    @property
    def rate(self) -> float:
        """Share of identical captions."""
        return 1 - sum(map(len, self.differences.values())) / self.total


def read_pairs(folder: Path, split: str) -> list[Pair]:
    """The pairs of a split, in the order of the captions.

    Raises:
        HmerError: captions or InkML are missing.
    """
    captions = folder / "captions" / f"{split}.txt"
    if not captions.is_file():
        raise HmerError(f"{captions} is missing; point CROHME_DIR at the folder that holds it")
    truths = dict(_truths(folder, split))
    pairs = []
    for line in captions.read_text().splitlines():
        name, _, caption = line.partition("\t")
        if name not in truths:
            raise HmerError(f"{captions} names {name}, for which {folder} has no InkML truth")
        pairs.append(Pair(name, truths[name], caption))
    return pairs


def compare(pairs: list[Pair], dialect: str = "wap") -> Comparison:
    """Which pairs `normalise` spells otherwise than the literature, and why."""
    differences: dict[str, list[tuple[Pair, str]]] = defaultdict(list)
    for pair in pairs:
        found = caption_difference(pair.raw, pair.caption.split(), dialect)
        if found is not None:
            reason, ours = found
            differences[reason].append((pair, ours))
    return Comparison(len(pairs), dict(differences))


def _truths(folder: Path, split: str) -> Iterator[tuple[str, str]]:
    for path, data in _files(folder, split):
        if found := _TRUTH.search(data):
            yield Path(path).stem, html.unescape(found[1].decode(errors="replace"))


def _files(folder: Path, split: str) -> Iterator[tuple[str, bytes]]:
    package = folder / f"{split}.tar.xz"
    if not package.is_file():
        for path in sorted((folder / SPLITS[split]).rglob("*.inkml")):
            yield path.name, path.read_bytes()
        return
    with tarfile.open(package) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".inkml") else None
            if stream is not None:
                yield member.name, stream.read()


def main() -> None:
    """Prints rates and differences of both splits."""
    console = Console(soft_wrap=True)
    if not (folder := os.environ.get("CROHME_DIR")):
        raise SystemExit("CROHME_DIR is not set; point it at the folder with the CROHME packages")
    for split in SPLITS:
        result = compare(read_pairs(Path(folder), split))
        console.print(f"\n[bold]{split}[/]: {result.rate:.2%} of {result.total} identical")
        for reason, pairs in sorted(result.differences.items(), key=lambda item: -len(item[1])):
            console.print(f"\n[bold]{reason}[/]: {len(pairs)}")
            for pair, ours in pairs:
                console.print(f"  {escape(pair.name)}  {escape(repr(pair.raw))}", highlight=False)
                console.print(f"    ours     {escape(ours)}", highlight=False)
                console.print(f"    caption  {escape(pair.caption)}", highlight=False)


if __name__ == "__main__":
    main()
