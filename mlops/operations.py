"""Wiring of what clock and command line need beside the services: checks, trackers, alerts.

Heavier than the web process, but scikit-learn and pandas come in with the first training or measurement only:
a drift check does without.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from mlops.alerts import Alarms
from mlops.baselines import Baselines
from mlops.channels import LogChannel, Notifier
from mlops.clock import Job
from mlops.counting import Counter
from mlops.integrity import IntegrityCheck
from mlops.labelling import Labelling
from mlops.monitoring import Monitor
from mlops.probation import Probation
from mlops.quality import EPOCH, QualityMonitor, VersionParts
from mlops.remedies import Remedies
from mlops.rounds import FAILED, Act, Round, RoundError
from mlops.services import DEMO_END, Services, specs_of
from mlops.shadowing import Shadows
from mlops.tracking.fanout import Trackers
from mlops.training_run import TrainingRun, both
from mlops.trainings import retrain_in_process
from model.artifact import EXPECTATION
from model.expectation import Expectation
from model.folders import folders
from model.monitoring.reference import ModelReference
from model.spec import Spec
from utils.mongo.leases import LeaseStore
from utils.mongo.normals import NormalStore
from utils.mongo.rejections import RejectionStore
from utils.mongo.training_jobs import TrainingJobStore
from utils.time import now

if TYPE_CHECKING:
    from mlops.comparing import Comparison
    from mlops.experimenting import Laboratory
    from mlops.retraining import Order, Retrainer, Step

log = logging.getLogger(__name__)

REFERENCES_IN_MEMORY = 32
IDS_AT_ONCE = 5_000
OVERLAP = timedelta(minutes=10)


class Operations:
    """What is done about models in production, besides answering."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.references = lru_cache(REFERENCES_IN_MEMORY)(self._reference)

    def _reference(self, model: str, version: str) -> ModelReference:
        reference = ModelReference.from_bytes(self.services.registry.part(model, version, "reference.bin"))
        # What the log does not show cannot be compared with training.
        return reference.without(self.services.redaction.names(model))

    @cached_property
    def labelling(self) -> Labelling:
        """Takes labels in, checked against the stored champions: nothing is served from here."""
        services = self.services
        return Labelling(services.labels, services.predictions, services.specs, self.spec_of)

    def spec_of(self, model: str) -> Spec | None:
        """Return the resolved spec of a model's champion, else that of its file, else None."""
        version = self.services.registry.champion(model)
        if version is None:
            return self.services.specs.get(model)
        return self.services.registry.manifest(model, version).resolved_spec()

    @cached_property
    def trackers(self) -> Trackers:
        """Neptune and MLflow, as set."""
        return Trackers.build(self.services.settings)

    @cached_property
    def notifier(self) -> Notifier:
        """Log, mail and webhook, as set; a made-up past wakes nobody."""
        settings = self.services.settings
        is_demo = settings.mongo_db.endswith(DEMO_END)
        return Notifier([LogChannel()]) if is_demo else Notifier.build(settings)

    @cached_property
    def monitor(self) -> Monitor:
        """Drift checks."""
        services = self.services
        counter = Counter(services.predictions, services.counts, self.references)
        return Monitor(
            counter,
            services.counts,
            services.history,
            self.references,
            Baselines(services.counts, NormalStore(services.db)),
            services.predictions,
            services.drift_reports,
            self.trackers,
            self.alarms,
            RejectionStore(services.db),
        )

    @cached_property
    def alarms(self) -> Alarms:
        """Tells people."""
        return Alarms(self.services.alerts, self.notifier)

    @cached_property
    def integrity(self) -> IntegrityCheck:
        """Checks of the stored bytes of champions."""
        return IntegrityCheck(self.services.registry, self.alarms)

    @cached_property
    def quality(self) -> QualityMonitor:
        """Quality checks."""
        services = self.services
        return QualityMonitor(
            services.predictions,
            services.labels,
            services.history,
            lru_cache(REFERENCES_IN_MEMORY)(self._version_parts),
            services.quality_reports,
            self.trackers,
            self.alarms,
        )

    def _version_parts(self, model: str, version: str) -> VersionParts:
        manifest = self.services.registry.manifest(model, version)
        expectation = None
        if EXPECTATION in manifest.parts:
            content = self.services.registry.part(model, version, EXPECTATION)
            expectation = Expectation.from_bytes(content)
        return VersionParts(manifest, manifest.resolved_spec(), expectation)

    @cached_property
    def retrainer(self) -> "Retrainer":
        """Trains challengers."""
        from mlops.gathering import Gatherer
        from mlops.retraining import Retrainer

        services = self.services
        gatherer = Gatherer(services.predictions, services.labels)
        return Retrainer(services.registry, gatherer, folders(services.settings))

    @cached_property
    def laboratory(self) -> "Laboratory":
        """Runs experiments."""
        from mlops.experimenting import Laboratory
        from mlops.gathering import Gatherer

        services, settings = self.services, self.services.settings
        gatherer = Gatherer(services.predictions, services.labels)
        out = settings.state_dir / "experiments"
        return Laboratory(gatherer, self.trackers, services.experiments, folders(settings), out)

    @cached_property
    def comparison(self) -> "Comparison":
        """Versions compared on the log."""
        from mlops.comparing import Comparison

        return Comparison(self.services.registry, self.services.predictions, self.services.labels)

    @cached_property
    def shadows(self) -> Shadows:
        """Challengers that score the log."""
        services = self.services
        return Shadows(services.registry, services.rollouts, self.comparison, services.shadow_reports)

    @cached_property
    def probation(self) -> Probation:
        """Watches new champions."""
        services = self.services
        return Probation(
            services.registry, services.history, self.comparison, services.shadow_reports, self.alarms
        )

    @cached_property
    def remedies(self) -> Remedies:
        """Trainings that alarms start."""
        services = self.services
        return Remedies(services.alerts, services.quality_reports, self.comparison, retrain_in_process)

    def retrain(
        self, order: "Order", job: str | None = None, on_step: "Step | None" = None
    ) -> dict[str, Any]:
        """Retrain a model in this process, under a job; returns and raises what ``Retrainer.run`` does."""
        jobs, leases = TrainingJobStore(self.services.db), LeaseStore(self.services.db)
        with TrainingRun(jobs, leases, order.model, order.kind, order.by, job) as run:
            outcome = self.retrainer.run(order, both(run.step, on_step) if on_step else run.step)
            run.finish(outcome)
        values = {name: value for name, value in outcome["metrics"].items() if value is not None}
        self.trackers.log_metrics(order.model, outcome["version"], values)
        return outcome

    def jobs(self) -> list[Job]:
        """Return what the clock runs."""
        settings = self.services.settings
        runs: dict[str, Callable[[datetime], str]] = {
            "monitor": self._round("monitor", self._check),
            "days": self._round("days", self._add_up_days),
            "quality": self.measure_all,
            "probation": self._round("probation", self.probation.check),
            "remedies": self._round("remedies", self.remedies.act),
            "shadows": self._round("shadows", self.shadows.scheduled),
        }
        found = [Job(name, "MONITOR_CRON", settings.monitor_cron, run) for name, run in runs.items()]
        if settings.retrain_cron is not None:
            found.append(Job("retrain", "RETRAIN_CRON", settings.retrain_cron, self.retrain_all))
        return found

    def _round(self, job: str, act: Act) -> Round:
        return Round(job, act, lambda: specs_of(self.services), lambda: self.alarms)

    def measure_all(self, due_at: datetime) -> str:
        """Measure every model where labels came since the last time; returns the verdicts."""
        ends = [self.services.job_runs.last("quality", outcome=outcome) for outcome in ("ok", "late")]
        # Clocks of two machines differ a little, and a window is measured twice without harm.
        since = max((end["due_at"] for end in ends if end), default=EPOCH + OVERLAP) - OVERLAP
        verdicts = self.quality.scheduled(list(specs_of(self.services)), since, now())
        return ", ".join(f"{name} {verdict}" for name, verdict in verdicts.items())

    def retrain_all(self, due_at: datetime) -> str:
        """Retrain every model that got labels since its champion was trained, one after another."""
        due = [spec for spec in specs_of(self.services) if self._has_news(spec.name)]
        found = {spec.name: retrain_in_process(spec.name, since=self._horizon(spec)) for spec in due}
        told = ", ".join(f"{name} {outcome}" for name, outcome in found.items())
        if FAILED in found.values():
            raise RoundError(told)
        return told or "nothing new to learn from"

    def _horizon(self, spec: Spec) -> datetime | None:
        """Return the moment before which the champion learnt nothing, so that no successor unlearns that."""
        version = self.services.registry.champion(spec.name)
        if version is None or spec.retrain.rows == "all":
            return None
        return self.services.registry.manifest(spec.name, version).trained_on.since

    def _has_news(self, model: str) -> bool:
        version = self.services.registry.champion(model)
        if version is None:
            return False
        created_at = self.services.registry.manifest(model, version).created_at
        ids = self.services.labels.changed(created_at, now())
        parts = (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))
        rows = (
            row for part in parts for row in self.services.predictions.by_ids(part, fields=["model"]).values()
        )
        return any(row["model"] == model for row in rows)

    def _check(self, spec: Spec, due_at: datetime) -> str | None:
        """Check a model, its stored bytes first; return the verdict, None where it has no champion."""
        if not self.integrity.check(spec.name, due_at):
            return "damaged"
        report = self.monitor.scheduled(spec, due_at)
        return str(report["verdict"]) if report else None

    def _add_up_days(self, spec: Spec, due_at: datetime) -> str | None:
        """Add up days of the champion for pages; return how many, None where there was none to do."""
        entry = self.services.history.current(spec.name)
        if entry is None:
            return None
        version = str(entry["version"])
        n_days = self.services.days.add_up(spec.name, version, self.references(spec.name, version), due_at)
        return f"{n_days} days" if n_days else None

    def close(self, timeout_s: float) -> None:
        """Hand over what is queued for trackers and people, within about ``timeout_s`` for each."""
        for part in ("trackers", "notifier"):
            if part in self.__dict__:
                getattr(self, part).close(timeout_s)
