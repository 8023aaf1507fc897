from collections.abc import Callable
from pathlib import Path

import pytest

from hmer.data.spread import spread


@pytest.mark.parametrize("name", ["p", "p.zip", "p.tar.gz"])
def test_a_part_is_spread_over_the_whole(
    tmp_path: Path, put: Callable[..., Path], name: str
) -> None:
    files = {f"{n:02d}.png": b"" for n in range(20)} | {f"{n:02d}.txt": b"" for n in range(20)}
    path = put(tmp_path / name, dict(sorted(files.items())))

    def names(suffix: str | tuple[str, ...], limit: int | None) -> list[str]:
        return [Path(m.name).name for m in spread(path, suffix, "here", limit)]

    assert names(".png", 4) == ["04.png", "09.png", "14.png", "19.png"]
    assert len(names(".png", 99)) == len(names(".png", None)) == 20
    assert len(names((".png", ".txt"), None)) == 40
    assert len(names((".png", ".txt"), 7)) == 7
