from __future__ import annotations

from pipeline.registry.versions import Act, Event, event, reigns


def done(what: Act, version: int, before: int | None, champion: int | None) -> Event:
    return event(what, version, before, champion, "someone", "because")


def test_who_could_come_back() -> None:
    story = [
        done("promote", 1, None, 1),
        done("register", 2, 1, 1),
        done("promote", 3, 1, 3),
        done("refuse", 4, 3, 3),
        done("promote", 5, 3, 5),
    ]
    assert reigns(story) == [1, 3, 5]
    story.append(done("rollback", 3, 5, 3))
    assert reigns(story) == [1, 3]
    story.append(done("rollback", 1, 3, 1))
    assert reigns(story) == [1]
    story.append(done("promote", 5, 1, 5))
    assert reigns(story) == [1, 5]
    assert reigns([]) == []


def test_a_line_for_a_person() -> None:
    line = done("promote", 3, None, 3).line()
    assert "promote" in line and "none -> 3" in line and line.endswith("someone: because")
