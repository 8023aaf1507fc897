"""Screenshots of the pages: whole, after their scripts, of few colours."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from docs import screens

PAGE = """<body style="margin: 0"><script>
document.body.style.background = "#ff0000";
</script><div style="width: 100px; height: 200px; background: #000000"></div></body>
"""


@pytest.mark.medium
@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
def test_a_page_after_its_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screens, "HERE", tmp_path)
    monkeypatch.setattr(screens, "SIZE", (600, 200))
    monkeypatch.setattr(screens, "WAIT_MS", 100)
    (tmp_path / "page.html").write_text(PAGE)
    screens.shoot((tmp_path / "page.html").as_uri(), "page")
    with Image.open(tmp_path / "page.png") as picture:
        assert (picture.size, picture.mode) == ((600, 200), "P")
        pixels = picture.convert("RGB")
        assert [pixels.getpixel((x, 100)) for x in (50, 400)] == [(0, 0, 0), (255, 0, 0)]


def test_without_chromium_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match="Chromium is not installed"):
        screens.shoot("about:blank", "page")
