from hmer.data.sources.base import Rejected, SourceItem, resolve

ITEM = SourceItem("a", "here", "ada", "x")


def test_resolve_runs_tasks_and_passes_the_rest() -> None:
    refused = Rejected("a", "a.inkml", "torn")
    assert resolve(ITEM) is ITEM
    assert resolve(refused) is refused
    assert resolve(lambda: ITEM) is ITEM
