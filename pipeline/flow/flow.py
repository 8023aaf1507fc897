"""The pipeline as a Prefect flow: one task per DVC stage.

DVC says what there is to do and whether it must be done; Prefect says when, tries again what may
work in a minute, and keeps the record. Tasks are called one after the other in the main thread:
submitted to threads they would not see a signal before their stage has ended by itself.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect import flow, get_run_logger, tags, task
from prefect.artifacts import create_markdown_artifact
from prefect.automations import AutomationCore, CallWebhook, EventTrigger, Posture
from prefect.blocks.webhook import Webhook
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import State, StateType
from prefect.concurrency.sync import concurrency
from prefect.exceptions import PrefectException
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Crashed
from prefect.types import SecretDict
from pydantic import SecretStr

from hmer.errors import HmerError
from pipeline.configure import prepare
from pipeline.dvcfile import (
    BUSY,
    DVC,
    REGISTRATION,
    declarations,
    read_report,
    running_order,
    to_do,
    upstream,
)
from pipeline.env import FLOW_LOCK, apply_environment, project_root
from pipeline.flow.config import FlowConfig, flow_config, is_training
from pipeline.process import guard, hold, run_group
from pipeline.stage import TRANSIENT
from pipeline.tracking.provenance import headline
from pipeline.tracking.runs import parent_run
from pipeline.tracking.store import without_password

PATIENCE = 15.0
"""Seconds to wait for the queue; it takes a tenth of one where there is nothing else to do."""
PAUSE = 0.1


def wait_until_recorded(tasks: int) -> None:
    """Wait until the flow's own server knows how `tasks` tasks of this flow run have ended.

    Where the server is a lasting one there is nothing to wait for.
    """
    if PREFECT_API_URL.value() is not None or not tasks:
        return
    with get_client(sync_client=True) as client:
        for _ in range(int(PATIENCE / PAUSE)):
            states = [run.state for run in client.read_task_runs(flow_run_filter=_of(flow_run.id))]
            if sum(state is not None and state.is_final() for state in states) >= tasks:
                return
            time.sleep(PAUSE)


def tagged(root: Path) -> AbstractContextManager[object]:
    """Flow runs in this context carry the tag of the project at `root`."""
    return tags(project_tag(root))


def _of(run: Any) -> FlowRunFilter:
    """What belongs to one flow run, by its id."""
    return FlowRunFilter.model_validate({"id": {"any_": [run]}})


def project_tag(root: Path) -> str:
    """The tag by which a project knows its own flow runs on a server that several use."""
    return f"project:{root}"


def close_dead_runs(root: Path, waiting: bool = False) -> None:
    """Close the runs of this project that were killed: to be called where no other can be alive.

    `waiting`: also those that were about to start.
    """
    kinds = [StateType.RUNNING, StateType.CANCELLING, *([StateType.PENDING] if waiting else [])]
    wanted = {"tags": {"all_": [project_tag(root)]}, "state": {"type": {"any_": kinds}}}
    ours = FlowRunFilter.model_validate(wanted)
    killed: State[Any] = Crashed(message="It was killed: the next start has found it.")
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=ours):
            if str(run.id) == str(flow_run.id):
                continue
            for part in client.read_task_runs(flow_run_filter=_of(run.id)):
                if part.state is not None and not part.state.is_final():
                    client.set_task_run_state(part.id, killed, force=True)
            client.set_flow_run_state(run.id, killed, force=True)


ENDS = {
    "failure": {f"prefect.flow-run.{state}" for state in ("Failed", "Crashed", "TimedOut")},
    "success": {"prefect.flow-run.Completed"},
}
"""Prefect's events for what `flow.notify` names."""
MESSAGE = """{
"text": {{ (automation.name ~ ": " ~ flow_run.state.name ~ ": "
            ~ flow_run.state.message) | tojson }},
"state": {{ flow_run.state.name | tojson }},
"message": {{ flow_run.state.message | tojson }},
"run": {{ flow_run.name | tojson }},
"id": {{ flow_run.id | string | tojson }}
}"""
"""Template that the server fills in: `text` is what chat services show, the rest for programs."""


def automation(root: Path, config: FlowConfig, webhook: UUID) -> AutomationCore:
    """The automation that calls a webhook, by the id of its block, when a run of ours ends."""
    ours = {
        "prefect.resource.role": "tag",
        "prefect.resource.id": f"prefect.tag.{project_tag(root)}",
    }
    return AutomationCore(
        name=f"hmer {root}",
        description="Section flow of params.yaml: webhook, notify. Every run brings it up to date.",
        trigger=EventTrigger(
            expect=set[str]().union(*(ENDS[end] for end in config.notify)),
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related=ours,
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[CallWebhook(block_document_id=webhook, payload=MESSAGE)],
    )


def notify(root: Path, config: FlowConfig) -> None:
    """Have the Prefect server call the webhook when a run ends; without a webhook, not any more."""
    try:
        with get_client(sync_client=True) as client:
            known = client.read_automations_by_name(f"hmer {root}")
            if config.webhook is None:
                for one in known:
                    client.delete_automation(one.id)
                return
            json = SecretDict({"Content-Type": "application/json"})
            hook = Webhook(url=SecretStr(config.webhook), headers=json)
            # Prefect takes letters, digits and dashes.
            name = f"hmer-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}"
            block = hook.save(name, overwrite=True)
            wanted = automation(root, config, UUID(str(block)))
            if known:
                client.update_automation(known[0].id, wanted)
            else:
                client.create_automation(wanted)
    except (HTTPError, PrefectException, ValueError) as error:
        get_run_logger().warning("nobody will be told how this run ends: %s", error)


LIMIT = "hmer-training"
"""Name of the concurrency limit; raise it on the server where there is room for more."""
LEASE = 120.0
"""Seconds after which the place of a flow that was killed is free again."""


@contextmanager
def one_training(wanted: bool) -> Iterator[None]:
    """If `wanted`, hold the place for the block, waiting for it as long as it takes.

    On the flow's own server, for this project alone, there is nobody to wait for.
    """
    if not wanted or PREFECT_API_URL.value() is None:
        yield
        return
    with get_client(sync_client=True) as client:
        known = {limit.name: limit for limit in client.read_global_concurrency_limits()}
        if LIMIT not in known:
            client.upsert_global_concurrency_limit_by_name(LIMIT, 1)
        elif known[LIMIT].active_slots >= known[LIMIT].limit:
            get_run_logger().info("waiting: another training is under way")
    with concurrency(
        LIMIT, strict=True, lease_duration=LEASE, raise_on_lease_renewal_failure=False
    ):
        yield


RAN, CACHED = "Ran", "Cached"
RUNNING = re.compile(r"^Running stage '")
EXITED = re.compile(r"exited with (-?\d+)")
HINTS = ("To track the changes", "\tgit add", "To enable auto", "\tdvc config", "Use `dvc push`")
"""Lines of DVC that are for a person at a terminal."""
TIMED_OUT = "TimedOut"
"""Prefect's name for the state of a task that took too long."""


class StageFailed(HmerError):
    """A stage did not end well."""

    def __init__(self, stage: str, code: int, last: str, transient: bool) -> None:
        super().__init__(f"stage {stage} failed: {last}")
        self.stage = stage
        self.exit_code = code
        self.transient = transient


@dataclass
class ReproLog:
    """What the lines of one `dvc repro` say."""

    stage: str
    ran: bool = False
    code: int | None = None
    busy: bool = False
    last: str = "no message"

    def take(self, line: str) -> None:
        """Take in a line."""
        self.ran = self.ran or bool(RUNNING.match(line))
        self.busy = self.busy or bool(BUSY.search(line))
        if found := EXITED.search(line):
            self.code = int(found[1])
        if line.startswith("error: "):
            self.last = line.removeprefix("error: ").removeprefix(f"{self.stage}: ")
        elif line.startswith("ERROR: ") and self.last == "no message":
            self.last = line.removeprefix("ERROR: ")


def may_pass(task: Any, run: Any, state: State[Any]) -> bool:
    """Whether to try again: only what was not the fault of data, parameters or code."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StageFailed) and error.transient


@task(cache_policy=NO_CACHE, retry_condition_fn=may_pass)
def reproduce(stage: str, root: Path, changed: bool = True) -> State[None]:
    """Run one stage if DVC finds it changed; its state says whether it did.

    Args:
        stage: its name.
        root: the project.
        changed: False if DVC is known to find nothing to do: it is not asked again.

    Raises:
        StageFailed: it was run and failed.
    """
    logger = get_run_logger()
    told = ReproLog(stage)

    def heard(line: str) -> None:
        told.take(line)
        if not line.startswith(HINTS):
            logger.info(line)

    if not changed:
        return Completed(name=CACHED, message=f"{stage}: nothing has changed")
    command = [*DVC, "--wait-for-lock", "repro", "--single-item", stage]
    code = run_group(command, root, heard)
    if code:
        transient = told.code == TRANSIENT or (told.busy and not told.ran)
        raise StageFailed(stage, told.code or code, told.last, transient)
    name = RAN if told.ran else CACHED
    return Completed(name=name, message=f"{stage}: {name.lower()}")


def run_name() -> str:
    """Of a flow run: the configuration and the settings that were asked for."""
    asked = flow_run.parameters or {}
    config = asked.get("config") or "parameters as they are"
    return ", ".join([str(config), *map(str, asked.get("settings") or ())])[:200]


@flow(name="hmer", flow_run_name=run_name, validate_parameters=False)
def pipeline_flow(config: str | None = None, settings: tuple[str, ...] = ()) -> State[Any]:
    """Walk the graph of `dvc.yaml` from its first stage to its last.

    Args:
        config: a configuration to write to `params.yaml` first.
        settings: single parameters to set, `dotted.key=value`.

    Raises:
        HmerError: the parameters are wrong, or a stage failed; what comes after it is not run.
    """
    if multiprocessing.parent_process() is not None:
        # Served. Ctrl-C in a terminal comes to its whole process group; it is for who serves us,
        # and answers it with a SIGTERM for us.
        os.setpgrp()
        guard(anew=True)  # it may be killed alone
    root = project_root()
    apply_environment(root)
    with hold(root / FLOW_LOCK, "the pipeline"):
        close_dead_runs(root)
        prepare(root, config, settings)
        around = flow_config(root)
        if PREFECT_API_URL.value():  # a server of one run alone would end before it has told
            notify(root, around)
        outcomes: dict[str, str] = {}
        waiting = to_do(root)
        try:
            with _tracked(root, bool(waiting)):
                for stage in running_order(upstream(declarations(root))):
                    changed = stage in waiting
                    with one_training(changed and is_training(root, stage)):
                        outcomes[stage] = _stage(stage, root, changed, around)
        except StageFailed:
            wait_until_recorded(len(outcomes) + 1)
            raise
        publish(root, outcomes)
        wait_until_recorded(len(outcomes))
    message = ", ".join(f"{stage} {name.lower()}" for stage, name in outcomes.items())
    return Completed(name=None if waiting else CACHED, message=message, data=outcomes)


def _stage(stage: str, root: Path, changed: bool, around: FlowConfig) -> str:
    """Run one stage as a task; the name of its state."""
    step = reproduce.with_options(
        name=stage,
        task_run_name=stage,
        retries=len(around.delays),
        retry_delay_seconds=list(around.delays),
        timeout_seconds=around.seconds(stage),
    )
    state = step(stage, root, changed, return_state=True)
    if state.name == TIMED_OUT:
        raise StageFailed(
            stage, 1, f"not done after {around.seconds(stage) / 60:g} minutes; a longer limit "
            f"is flow.limits.{stage}", transient=False
        )  # fmt: skip
    state.result()  # raises if it failed
    return str(state.name)


def _tracked(root: Path, changed: bool) -> AbstractContextManager[Any]:
    """One MLflow run over all stages; none where there is nothing to do."""
    where = flow_run.ui_url if PREFECT_API_URL.value() else flow_run.name
    tags = {"stage": "pipeline", "prefect.run": str(where)}
    return parent_run(root, tags) if changed else nullcontext()


def publish(root: Path, outcomes: Mapping[str, str]) -> None:
    """What came out of a flow run, on its page: a Markdown artifact, and tags to search by."""
    if not (done := read_report(root / REGISTRATION)):
        return  # nothing has been registered
    gate = (root / "reports/validation/verdict.json").is_file()
    lines = [
        headline(done),
        "",
        *(f"- {stage}: {name.lower()}" for stage, name in outcomes.items()),
        "",
        f"Report: {(root / 'reports/index.html').as_uri()}",
        *[f"Data gate: {(root / 'reports/validation/index.html').as_uri()}"][:gate],
        f"MLflow: {without_password(os.environ['MLFLOW_TRACKING_URI'])} (`make ui`)",
    ]
    tags = {*flow_run.tags, str(done["decision"]), f"version:{done['version']}"}
    try:
        create_markdown_artifact("\n".join(lines), key="outcome", description=headline(done))
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(flow_run.id), tags=tags)
    except (HTTPError, PrefectException) as error:  # the run itself has succeeded
        get_run_logger().warning("the outcome is not on this page: %s", error)
