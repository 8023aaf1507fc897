from pathlib import Path

import pytest

from hmer.errors import HmerError
from hmer.synthesis.leakage import Leakage


def test_only_long_equal_captions_are_kept_out() -> None:
    held = [["x"], "a + b".split(), "a + b c".split()]
    leakage = Leakage.of(held)
    assert len(leakage) == 1
    assert leakage.allows("a + b".split())
    assert leakage.allows("a + b d".split())
    assert leakage.excluded == 0
    assert not leakage.allows("a + b c".split())
    assert not leakage.allows("a + b c".split())
    assert leakage.excluded == 2
    assert not Leakage.of(held, short=0).allows(["x"])


def test_the_list_travels_without_its_captions(tmp_path: Path) -> None:
    caption = r"\alpha + b c".split()
    Leakage.of([caption, ["x"]]).write(tmp_path / "held.json")
    assert "alpha" not in (tmp_path / "held.json").read_text()
    found = Leakage.read(tmp_path / "held.json")
    assert len(found) == 1
    assert not found.allows(caption)
    assert found.allows(caption[:-1])


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"short": "x", "captions": []}'])
def test_damaged_lists_are_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "held.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(HmerError, match=r"held\.json"):
        Leakage.read(path)
