"""`hmer recognize` as its users call it: several files, some of them bad, in any encoding."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def picture() -> bytes:
    image = np.full((80, 160), 255, np.uint8)
    image[20:60, 30:34] = image[38:42, 60:100] = image[20:60, 120:124] = 0
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def recognize(
    model: Path, *words: str | bytes, data: bytes = b"", encoding: str = "utf-8"
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from hmer.cli import main; main()",
            "recognize",
            "--beam",
            "1",
            "--model",
            model,
            *words,
        ],
        input=data,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )


def test_every_file_has_its_line(model_folder: Path, tmp_path: Path) -> None:
    names = ["a.png", "\N{CJK UNIFIED IDEOGRAPH-6F22}.png", "notes.png", "gone.png"]
    for name in names[:2]:
        (tmp_path / name).write_bytes(picture())
    (tmp_path / "notes.png").write_text("not a picture")
    odd = os.fsencode(tmp_path) + b"/\xff.png"
    Path(os.fsdecode(odd)).write_bytes(picture())
    paths = [*(os.fsencode(tmp_path / name) for name in names), odd, b"-"]
    done = recognize(model_folder, "--json", *paths, data=picture(), encoding="cp1252")
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    answers = [json.loads(line) for line in done.stdout.decode("ascii").splitlines()]
    assert [answer["file"] for answer in answers] == [os.fsdecode(path) for path in paths]
    assert ["error" in answer for answer in answers] == [False, False, True, True, False, False]
    assert "text" in answers[2]["error"]
    assert len({answers[i]["latex"] for i in (0, 1, 4, 5)}) == 1

    plain = recognize(model_folder, *paths[:5], encoding="cp1252")
    lines = plain.stdout.decode("cp1252").splitlines()
    assert len(lines) == 5 and lines[0].startswith(f"{tmp_path / 'a.png'}: ")
    assert lines[3].endswith(": not read") and plain.stderr.count(b"error: ") == 2
