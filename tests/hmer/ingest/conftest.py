"""Pictures and packages for the sources."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hmer.data.schema import Quarantined, Sample
from hmer.ingest.convert import Converter
from hmer.ingest.sources.base import Rejected, SourceItem
from hmer.ink.images import decode_png
from hmer.ink.render import RenderConfig, render
from hmer.ink.strokes import Ink

Draw = Callable[..., bytes]
Put = Callable[[Path, Mapping[str, bytes]], Path]
Found = list[SourceItem | Rejected]
Made = dict[str, NDArray[np.uint8]]

CONVERT = Converter("plain", 0.1, RenderConfig(unit=16))


def made(found: Found) -> tuple[Found, Made]:
    """Items, those whose picture cannot be read as what is refused, and the images by their ids."""
    results = [item if isinstance(item, Rejected) else CONVERT(item).result for item in found]
    return [
        Rejected(result.id, result.file, result.reason, item.split)
        if isinstance(result, Quarantined)
        else item
        for item, result in zip(found, results, strict=True)
    ], {result.id: decode_png(result.image) for result in results if isinstance(result, Sample)}


@pytest.fixture(scope="session")
def picture() -> Draw:
    """A picture file of some rings and a bar: `picture(count=3, kind="PNG", paper=0, ink=255)`."""

    def draw(
        count: int = 3, kind: str = "PNG", paper: int = 0, ink: int = 255, unit: float = 30.0
    ) -> bytes:
        angle = np.linspace(0, 2 * np.pi, 30)
        ring = np.stack([0.4 * np.cos(angle), 0.5 * np.sin(angle)], 1)
        strokes = [np.add(ring, [1.4 * n, 0]).astype(np.float32) for n in range(count)]
        strokes.append(np.array([[-0.4, 0.9], [1.4 * count, 0.9]], np.float32))
        grey = render(Ink(tuple(strokes)), unit, pen=0.1, margin=0.5).image / 255
        buffer = io.BytesIO()
        Image.fromarray(np.uint8(paper + (ink - paper) * grey)).save(buffer, kind)
        return buffer.getvalue()

    return draw


@pytest.fixture(scope="session")
def put() -> Put:
    """Write files by name into a folder, or a .zip or .tar.gz package, told by the path's end."""

    def write(path: Path, files: Mapping[str, bytes]) -> Path:
        if path.name.endswith(".zip"):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
                for name, data in files.items():
                    package.writestr(name, data)
        elif path.name.endswith((".tar.gz", ".tgz")):
            with tarfile.open(path, "w:gz") as package:
                for name, data in files.items():
                    entry = tarfile.TarInfo(name)
                    entry.size = len(data)
                    package.addfile(entry, io.BytesIO(data))
        else:
            for name, data in files.items():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (path / name).write_bytes(data)
        return path

    return write
