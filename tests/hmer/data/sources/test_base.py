from dataclasses import dataclass

import pytest

from hmer.data.sources.base import (
    Rejected,
    Setting,
    SourceConfig,
    SourceItem,
    key_of,
    resolve,
)
from hmer.data.sources.crohme import CrohmeConfig
from hmer.data.sources.images import ImagesConfig
from hmer.ink.render import RenderConfig

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


def test_items_are_named_before_they_are_made() -> None:
    assert key_of(ITEM) == "a"
    assert key_of(Rejected("r", "", "torn")) == "r"
    assert key_of(Make()) == "k"


def test_a_source_must_say_how_it_is_opened() -> None:
    class Nothing(SourceConfig):
        pass

    assert list(Nothing().paths()) == []
    with pytest.raises(NotImplementedError, match="Nothing"):
        Nothing().open(Setting("wap", RenderConfig()))


def test_paths_may_begin_with_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    crohme = CrohmeConfig(train="~/ink", tests={"own": "~/more"})
    assert list(crohme.paths()) == ["/home/ada/ink", "/home/ada/more"]
    labelled = {"images": "~/i", "captions": "~/c~.csv"}
    images = ImagesConfig.model_validate({"train": labelled, "tests": {"own": labelled}})
    assert set(images.paths()) == {"/home/ada/i", "/home/ada/c~.csv"}
