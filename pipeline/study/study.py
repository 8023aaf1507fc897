"""One study from its file to its report: what there is, what is to do, and the doing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hmer.errors import HmerError
from pipeline.declaration import declarations
from pipeline.locks import hold
from pipeline.sections import closest
from pipeline.study.config import StudyConfig, load_study
from pipeline.study.experiments import Finished, choose, finished, metrics
from pipeline.study.graph import Graph, graph, stages_up_to
from pipeline.study.ledger import HOME, Ledger
from pipeline.study.plan import Experiment, plan
from pipeline.study.report import write_report
from pipeline.study.results import Outcome, absent
from pipeline.study.runner import Runner, Setup
from pipeline.study.snapshot import Snapshot, take
from pipeline.study.tracking import Runs, study_experiment

Say = Callable[[str], None]


@dataclass(frozen=True)
class Study:
    """A study, with all that its experiments would be made of now."""

    root: Path
    name: str
    config: StudyConfig
    experiments: Sequence[Experiment]
    snapshot: Snapshot
    graph: Graph
    ledger: Ledger

    @classmethod
    def open(
        cls,
        root: Path,
        name: str,
        seeds: Sequence[int] | None = None,
        settings: Sequence[str] = (),
    ) -> Study:
        """Read and check a study; nothing is written.

        Args:
            root: the project.
            name: of the study.
            seeds: others than its own.
            settings: `dotted.key=value` on its configuration.

        Raises:
            HmerError: anything that would stop it later on, as far as it can be known now.
        """
        config = load_study(root, name)
        _check_results(root, name, config)
        experiments = plan(root, name, config, seeds, settings)
        snapshot = take(root)
        work = graph(root, snapshot, config.target, experiments)
        return cls(root, name, config, experiments, snapshot, work, Ledger(root))

    def chosen(self, only: Sequence[str]) -> list[Experiment]:
        """The experiments of some variants; of all if none is named.

        Raises:
            HmerError: there is no such variant.
        """
        for variant in only:
            if variant not in self.config.variants:
                meant = closest(variant, list(self.config.variants))
                hint = f"; did you mean {meant}?" if meant else ""
                raise HmerError(
                    f"{self.name} has no variant {variant!r}, only "
                    f"{', '.join(self.config.variants)}{hint}"
                )
        return [one for one in self.experiments if not only or one.variant in only]

    def finished(self, one: Experiment, any_code: bool = False) -> Finished | None:
        """The experiment as DVC keeps it, if it was made of these parameters, code and data.

        Args:
            one: which.
            any_code: whether earlier code or data will do.
        """
        found = finished(self.root, one.name)
        settings = self.graph.settings[one.name]
        now = choose(found, settings, self.graph.code)
        return now or (choose(found, settings, None) if any_code else None)

    def run(
        self, todo: Sequence[Experiment], jobs: int, say: Say, keep: bool = False
    ) -> dict[str, str]:
        """Run experiments that are not finished; go on with those that were interrupted.

        Args:
            todo: which.
            jobs: how many at a time.
            say: gets a line about whatever happens.
            keep: count those that earlier code has finished.

        Returns:
            Why experiments have failed, by name.

        Raises:
            HmerError: another study is running, or the tracking store does not answer.
        """
        from pipeline.flow.guard import guard

        left = [one for one in todo if self.finished(one, any_code=keep) is None]
        if not left:
            return {}
        with hold(self.root / HOME / "lock", "a study"), study_experiment(self.name):
            guard()
            setup = Setup(
                self.root,
                self.snapshot,
                self.graph,
                self.config.target,
                self.config.results,
                self.config.split,
                jobs,
                say,
            )
            runner = Runner(setup, self.ledger, Runs(self.root), left)
            runner.run()
        return runner.failed

    def listing(self, todo: Sequence[Experiment], keep: bool = False) -> list[str]:
        """What a run would do: a line per experiment."""
        lines = []
        planned: set[str] = set()
        for one in todo:
            if (found := self.finished(one, any_code=keep)) is not None:
                lines.append(f"{one.name}: finished ({found.commit[:8]})")
                continue
            told = []
            for stage, key in self.graph.needs[one.name].items():
                shared = "shared" if key in planned else "to do"
                told.append(f"{stage} {'cached' if self.ledger.done(key) else shared}")
                planned.add(key)
            lines.append(f"{one.name}: {', '.join(told)}")
        return lines

    def outcomes(self) -> list[Outcome]:
        """How every experiment of the study stands, with its metrics."""
        return [self._outcome(one) for one in self.experiments]

    def report(self, say: Say) -> Path:
        """Write tables and figure from what is finished.

        Raises:
            HmerError: nothing is.
        """
        outcomes = self.outcomes()
        if not any(outcome.state == "finished" for outcome in outcomes):
            raise HmerError(f"no experiment of {self.name} is finished: there is nothing to report")
        for metric, names in absent(self.config, outcomes).items():
            known = sorted(next(o.metrics for o in outcomes if o.experiment.name == names[0]))
            meant = closest(metric, known)
            hint = f" (did you mean {meant}?)" if meant else ""
            say(f"warning: {len(names)} experiments have no metric {metric!r}{hint}")
        return write_report(self.root, self.name, self.config, outcomes)

    def _outcome(self, one: Experiment) -> Outcome:
        found = self.finished(one, any_code=True)
        if found is None:
            reason = self.ledger.failure(one.name, self.graph.settings[one.name])
            return Outcome(one, "failed" if reason else "not run", reason=reason or "")
        values = metrics(self.root, found.commit, self.config.results, self.config.split)
        return Outcome(one, "finished", found.commit, found.record, values)


def _check_results(root: Path, name: str, config: StudyConfig) -> None:
    """The file with the metrics is written by the target, or before it.

    Raises:
        HmerError: it is not; it would be that of some earlier run.
    """
    declared = declarations(root)
    if not any(
        declared[stage].writes(config.results) for stage in stages_up_to(declared, config.target)
    ):
        raise HmerError(
            f"configs/studies/{name}.yaml: results = {config.results!r} is not written by the "
            f"stage {config.target} nor before it"
        )
