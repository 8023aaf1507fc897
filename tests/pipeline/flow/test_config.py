"""What surrounds the stages in a flow."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from hmer.errors import HmerError
from pipeline.flow import config as notification
from pipeline.flow.config import WEBHOOK, FlowConfig, flow_config, is_training, notify, notifying


def test_which_stages_train(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: {optimisation: {steps: 3}}\nb: {steps: 3}\nc: 3\n")
    assert [stage for stage in "abcd" if is_training(tmp_path, stage)] == ["a"]


def test_time_limits() -> None:
    config = FlowConfig(limit=10, limits={"finetune": 0.5})
    assert (config.seconds("finetune"), config.seconds("ingest")) == (30, 600)


class Hook:
    """A web server that keeps what it is told."""

    def __init__(self, status: int = 200) -> None:
        self.told: list[dict[str, Any]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/json"
                hook.told.append(json.loads(body))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/secret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    monkeypatch.delenv(WEBHOOK, raising=False)
    made = Hook()
    yield made
    made.close()


def project(folder: Path, hook: Hook, ends: str) -> Path:
    (folder / "params.yaml").write_text(f"flow: {{webhook: '{hook.url}', notify: [{ends}]}}\n")
    return folder


def test_success_and_failure(tmp_path: Path, hook: Hook) -> None:
    root = project(tmp_path, hook, "failure, success")
    with notifying(root) as told:
        told["message"] = "ingest ran"
    with pytest.raises(HmerError, match="bad data"), notifying(root):
        raise HmerError("bad data")
    good, bad = hook.told
    assert good["outcome"] == "success" and good["message"] == "ingest ran"
    assert bad["outcome"] == "failure" and bad["message"] == "bad data"
    assert bad["text"] == f"hmer ({tmp_path.name}): failure: bad data"
    assert set(bad) == {"text", "project", "outcome", "message", "seconds"}


def test_only_what_was_asked_for(tmp_path: Path, hook: Hook) -> None:
    with notifying(project(tmp_path, hook, "failure")):
        pass
    with notifying(project(tmp_path, hook, "success")) as told:
        told["quiet"] = True
    with (
        pytest.raises(KeyboardInterrupt),
        notifying(project(tmp_path, hook, "failure, success")),
    ):
        raise KeyboardInterrupt
    assert not hook.told


def test_the_environment_wins(tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text("flow: {notify: [success]}\n")
    monkeypatch.setenv(WEBHOOK, hook.url)
    with notifying(tmp_path):
        pass
    assert len(hook.told) == 1


def test_a_webhook_that_fails_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusing = Hook(status=500)
    assert not notify(refusing.url, {})
    refusing.close()
    assert not notify(refusing.url, {}), "nobody is there any more"
    monkeypatch.setattr(notification, "PATIENCE", 0.1)
    with pytest.raises(HmerError, match="the real reason"):
        (tmp_path / "params.yaml").write_text(f"flow: {{webhook: '{refusing.url}'}}\n")
        with notifying(tmp_path):
            raise HmerError("the real reason")
    errors = capsys.readouterr().err
    assert errors.count("warning: the webhook did not take the message") == 3
    assert "secret" not in errors


def test_the_address_is_checked(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("flow: {webhook: 'file:///etc/passwd'}\n")
    with pytest.raises(HmerError, match=r"flow\.webhook"):
        flow_config(tmp_path)


def test_the_parameters_may_be_written_by_what_is_told_of(tmp_path: Path, hook: Hook) -> None:
    """As by `run --config default` where there is no params.yaml yet, or `--set flow.notify=`."""
    with notifying(tmp_path):
        project(tmp_path, hook, "success")
    assert [told["outcome"] for told in hook.told] == ["success"]


def test_parameters_that_cannot_be_read_are_a_failure_like_any(
    tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEBHOOK, hook.url)
    with pytest.raises(HmerError, match="is missing"), notifying(tmp_path):
        flow_config(tmp_path)
    assert [told["outcome"] for told in hook.told] == ["failure"]
