from dataclasses import dataclass

import numpy as np
import pytest

from hmer.ingest.sources.base import (
    Rejected,
    Source,
    SourceItem,
    key_of,
    position,
    resolve,
    split_of,
)
from hmer.ingest.sources.crohme import Crohme
from hmer.ingest.sources.images import Images

WRITERS = [f"writer {n}" for n in range(4000)]


def test_share_is_kept_on_average() -> None:
    for share in (0.0, 0.1, 0.5, 1.0):
        found = np.mean([split_of(writer, share) == "val" for writer in WRITERS])
        assert found == pytest.approx(share, abs=0.02)


def test_larger_shares_only_add() -> None:
    small = {w for w in WRITERS if split_of(w, 0.05) == "val"}
    large = {w for w in WRITERS if split_of(w, 0.1) == "val"}
    assert small < large


def test_sides_never_change() -> None:
    # First six bytes of SHA-256 (FIPS 180-2 test vector "abc": ba7816bf8f01...), as a fraction.
    assert position("abc") == pytest.approx(0xBA7816BF8F01 / 2**48)


def test_any_name_has_a_side() -> None:
    assert {split_of(name, 0.5) for name in ("", "é", "\ud800", "a\0b")} <= {"train", "val"}


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares_are_shares(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        split_of("x", share)


ITEM = SourceItem("a", "here", "ada", "x")


@dataclass(frozen=True)
class Make:
    key: str = "k"
    split: str | None = None

    def __call__(self) -> SourceItem:
        return ITEM


def test_resolve_runs_tasks_and_passes_the_rest() -> None:
    refused = Rejected("a", "a.inkml", "torn")
    assert resolve(ITEM) is ITEM
    assert resolve(refused) is refused
    assert resolve(Make()) is ITEM


def test_what_is_no_text_is_escaped() -> None:
    odd = SourceItem("\udcff", "ä", "\ud800", "\udc80", file="f/\udcff.png")
    found = resolve(odd)
    assert isinstance(found, SourceItem)
    assert (found.id, found.source, found.writer) == ("\\udcff", "ä", "\\ud800")
    assert (found.latex, found.file) == ("\\udc80", "f/\\udcff.png")
    assert resolve(Rejected("é", "", "\ud800")) == Rejected("é", "", "\\ud800")


def test_items_are_named_before_they_are_made() -> None:
    assert key_of(ITEM) == "a"
    assert key_of(Rejected("r", "", "torn")) == "r"
    assert key_of(Make()) == "k"


def test_a_source_must_say_what_its_items_are() -> None:
    class Nothing(Source):
        name = "nothing"

    assert list(Nothing().paths()) == [] and Nothing().total is None
    with pytest.raises(NotImplementedError, match="Nothing"):
        Nothing().items(0)


def test_paths_may_begin_with_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    crohme = Crohme(train="~/ink", tests={"own": "~/more"})
    assert list(crohme.paths()) == ["/home/ada/ink", "/home/ada/more"]
    labelled = {"images": "~/i", "captions": "~/c~.csv"}
    images = Images.model_validate({"train": labelled, "tests": {"own": labelled}})
    assert set(images.paths()) == {"/home/ada/i", "/home/ada/c~.csv"}
