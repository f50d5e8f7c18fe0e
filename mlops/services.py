"""Wiring of what the web process needs; ``build(settings)`` makes it, ``start`` connects it, after fork.

Light on purpose: with a compiled champion no scikit-learn, pandas, scipy or tracker is imported from here.
``mlops.operations`` adds what clock and command line need.
"""

import hashlib
import hmac
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from mlops import tasks
from mlops.answer_log import SpooledAnswers
from mlops.aside import sweep
from mlops.days import Days
from mlops.keys import KeyRing
from mlops.labelling import Labelling
from mlops.limits import Limits
from mlops.once import Once
from mlops.redaction import Redaction
from mlops.registry import Registry, signing_key
from mlops.rejections import Rejections
from mlops.repeating import Repeating
from mlops.sealing import Sealing
from mlops.serving import Served, Serving
from mlops.shipping import Shipper
from mlops.subjects import MindfulStore, People, Subjects
from mlops.trainings import Trainings
from mlops.windows import Windows
from model.folders import folders
from model.spec import Spec, load_all
from utils.claims import ClaimFile
from utils.errors import NotFoundError, UnavailableError
from utils.mongo import connection, migrations, preparation
from utils.mongo.alerts import AlertStore
from utils.mongo.claims import ClaimStore
from utils.mongo.connection import Database
from utils.mongo.counts import CountStore
from utils.mongo.day_counts import DayStore
from utils.mongo.experiments import ExperimentStore
from utils.mongo.history import HistoryStore
from utils.mongo.job_runs import JobRunStore
from utils.mongo.labels import LabelStore
from utils.mongo.leases import LeaseStore
from utils.mongo.predictions import PredictionStore
from utils.mongo.rejections import RejectionStore
from utils.mongo.reports import ReportStore
from utils.mongo.rollouts import RolloutStore
from utils.mongo.subjects import SubjectStore
from utils.mongo.training_jobs import TrainingJobStore
from utils.mongo.versions import VersionStore
from utils.settings import Settings
from utils.spool import LogCounts, Spool

log = logging.getLogger(__name__)

DEMO_END = "_demo"  # how the name of a database ends that may be emptied and filled with a made-up past
DEMO_FILLED = "filled"  # file in the demo's STATE_DIR that says that this is done
DRAIN_S = 15.0
FOLLOW_S = 1.0
REJECTIONS_S = 5.0
COUNTS_S = 1.0
SCHEMA_S = 10.0
SWEEP_S = 60.0
CHECK_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Readiness:
    """Whether predictions can be answered; ``reasons`` says why not, or what is degraded."""

    is_ready: bool
    reasons: list[str]

    @property
    def status(self) -> str:
        """One word for people."""
        if not self.is_ready:
            return "not ready"
        return "degraded" if self.reasons else "ready"


class Services:
    """The parts of one process. Stores may be used from any thread once ``start`` was called."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.specs = {name: spec for name, (spec, _) in load_all(folders(settings)).items()}
        self.serving = Serving(
            self.specs,
            lambda model, version: self.registry.load(model, version),
            lambda: self.history.champions(),
            SpooledAnswers(
                lambda: self.spool, lambda: self.shipper.pace.keep(), self.redaction, self.sealing
            ),
            max_rows=settings.max_rows,
            canaries=lambda: self.rollouts.all("canary"),
        )
        self.rejections = Rejections(lambda: RejectionStore(self.db))
        self.is_draining = False
        self._standing: migrations.Standing | None = None
        self._is_started = False
        self._lock = threading.Lock()

    @cached_property
    def db(self) -> Database:
        """The database; nothing is sent before it is first used."""
        uri = self.settings.mongo_uri
        if uri is None:
            raise UnavailableError("MONGO_URI is not set. `python -m app` starts a private MongoDB.")
        return connection.connect(uri, self.settings.mongo_db)

    @cached_property
    def keys(self) -> KeyRing:
        """Who holds which key."""
        return KeyRing(self.settings)

    @cached_property
    def redaction(self) -> Redaction:
        """What the log does not get to see."""
        return Redaction(self.settings.redact_fields, lambda: self.secret_for("redaction"))

    @cached_property
    def sealing(self) -> Sealing:
        """What the log keeps encrypted."""
        settings = self.settings
        sealing = Sealing(settings.encrypt_fields, settings.encryption_keys)
        return sealing.check(self.specs.values(), self.redaction)

    @cached_property
    def people(self) -> People:
        """Who is who in the log."""
        return People(self.secret_for("subjects"), self.redaction)

    @cached_property
    def subjects(self) -> Subjects:
        """People's rows."""
        return Subjects(SubjectStore(self.db), self.registry, self.people, self._spool_folder, self.sealing)

    @cached_property
    def limits(self) -> Limits | None:
        """How often one caller may ask."""
        return Limits.build(self.settings)

    @lru_cache  # noqa: B019  one object a process
    def secret_for(self, use: str) -> bytes:
        """Return a key for one use, made of the one that signs models, so all replicas have the same."""
        return hmac.digest(signing_key(self.settings), f"vigia {use}".encode(), hashlib.sha256)

    @cached_property
    def predictions(self) -> PredictionStore:
        """The log."""
        return PredictionStore(self.db, self.sealing if self.settings.encryption_keys else None)

    @cached_property
    def labels(self) -> LabelStore:
        """The truth about predictions."""
        return LabelStore(self.db)

    @cached_property
    def labelling(self) -> Labelling:
        """Takes labels in."""
        return Labelling(self.labels, self.predictions, self.specs, self.spec_of)

    def spec_of(self, model: str) -> Spec | None:
        """Return what is known of a model's labels: the resolved spec of its champion, else its file's."""
        served = self.serving.live().get(model)
        return served.loaded.spec if served else self.specs.get(model)

    @cached_property
    def history(self) -> HistoryStore:
        """Who was champion when."""
        return HistoryStore(self.db)

    @cached_property
    def counts(self) -> CountStore:
        """Counted hours of the log."""
        return CountStore(self.db)

    @cached_property
    def windows(self) -> Windows:
        """Windows of the counted log side by side."""
        return Windows(self.counts, self.days, self.registry.part)

    @cached_property
    def days(self) -> Days:
        """Whole days of the counted log."""
        return Days(self.counts, DayStore(self.db))

    @cached_property
    def rejected(self) -> RejectionStore:
        """Rows that were refused."""
        return RejectionStore(self.db)

    @cached_property
    def drift_reports(self) -> ReportStore:
        """What drift checks found."""
        return ReportStore(self.db, "drift_reports")

    @cached_property
    def quality_reports(self) -> ReportStore:
        """What quality checks found."""
        return ReportStore(self.db, "quality_reports")

    @cached_property
    def shadow_reports(self) -> ReportStore:
        """What challengers said about logged rows."""
        return ReportStore(self.db, "shadow_reports")

    @cached_property
    def experiments(self) -> ExperimentStore:
        """What was tried."""
        return ExperimentStore(self.db)

    @cached_property
    def rollouts(self) -> RolloutStore:
        """Challengers that take part beside their champion."""
        return RolloutStore(self.db)

    @cached_property
    def job_runs(self) -> JobRunStore:
        """What the clock ran."""
        return JobRunStore(self.db)

    @cached_property
    def trainings(self) -> Trainings:
        """Trainings in processes of their own."""
        return Trainings(self.training_jobs, LeaseStore(self.db))

    @cached_property
    def training_jobs(self) -> TrainingJobStore:
        """What became of trainings."""
        return TrainingJobStore(self.db)

    @cached_property
    def alerts(self) -> AlertStore:
        """Open and past alerts."""
        return AlertStore(self.db)

    @cached_property
    def registry(self) -> Registry:
        """Stored versions, verified when loaded."""
        return Registry(VersionStore(self.db), self.history, signing_key(self.settings))

    @cached_property
    def once(self) -> Once:
        """Answers each request that has a key of its own once."""
        return Once(ClaimFile(self.settings.state_dir / "claims.db"), lambda: ClaimStore(self.db))

    @cached_property
    def spool(self) -> Spool:
        """The local queue of this process."""
        return Spool.open(
            self._spool_folder, max_bytes=self.settings.spool_max_bytes, fsync=self.settings.spool_fsync
        )

    @cached_property
    def shipper(self) -> Shipper:
        """Moves the spool into MongoDB."""
        return Shipper(self.spool, self._mindful, self._spool_folder)

    @cached_property
    def _mindful(self) -> MindfulStore:
        return MindfulStore(self.predictions, SubjectStore(self.db), self.people)

    @property
    def _spool_folder(self) -> Path:
        return self.settings.state_dir / "spool"

    @cached_property
    def _repeated(self) -> list[Repeating]:
        return [
            Repeating("following champions", self.serving.refresh, FOLLOW_S),
            Repeating("storing rejections", self.rejections.store, REJECTIONS_S, is_last_too=True),
            Repeating("counting the log", self.shipper.books.publish, COUNTS_S),
            Repeating("looking at the schema", self.look_at_schema, SCHEMA_S),
            Repeating("sweeping what was set aside", self._sweep, SWEEP_S),
        ]

    def ensure_started(self) -> None:
        """Start unless started; for web servers without a hook after fork."""
        if not self._is_started:
            self.start()

    def start(self) -> None:
        """Connect and start the threads. Call it after fork; may be called again without harm."""
        with self._lock:
            if self._is_started:
                return
            self.shipper.start()
            self._load_champions()
            for repeated in self._repeated:
                repeated.start()
            self._is_started = True

    def _sweep(self) -> None:
        if (self._spool_folder / "refused").is_dir():
            sweep(self._spool_folder, SubjectStore(self.db), self.people.digest)

    def look_at_schema(self) -> None:
        """See how the database and this program fit; a release may change it at any time."""
        before, self._standing = self._standing, migrations.standing(self.db)
        if self._standing.sentence and self._standing != before:
            log.warning(self._standing.sentence)

    def _load_champions(self) -> None:
        """Be ready before the first request where that is possible; otherwise the follower goes on trying."""
        try:
            self.serving.refresh()
        except UnavailableError as error:
            log.warning("champions cannot be loaded yet: %s", error.detail)

    def drain(self) -> None:
        """Be unready from now on; requests under way are still answered."""
        self.is_draining = True

    def stop(self) -> None:
        """Ship what is left within a time limit and close; what is not shipped stays in the spool."""
        with self._lock:
            if not self._is_started:
                return
            self._is_started = False
            if "trainings" in self.__dict__:
                self.trainings.stop()
            for repeated in self._repeated:
                repeated.stop()
            self.shipper.drain(DRAIN_S)
            # A batch that hangs still uses the spool; the next process then takes it over.
            if self.shipper.stop():
                self.spool.close()
                self.shipper.settle()
            if "once" in self.__dict__:
                self.once.close()
            connection.close(self.db)

    def spool_bytes(self) -> int:
        """Return the bytes on disk of what this process has answered and not stored yet."""
        return self.spool.size_bytes if self._is_started else 0

    def readiness(self) -> Readiness:
        """Say whether predictions can be answered."""
        reasons = [f"{model}: {reason}" for model, reason in self.serving.failures().items()]
        default = self.settings.default_model
        if self.is_draining:
            return Readiness(False, ["stopping", *reasons])
        if default not in self.serving.live():
            away = "MongoDB is away, so which versions answer is not known yet"
            lacking = f"{default} has no champion in memory" if self.serving.is_informed else away
            return Readiness(False, [lacking, *reasons])
        reasons += self.schema_reasons()
        if self._standing is not None and self._standing.is_too_new:
            return Readiness(False, reasons)
        if self.shipper.outage_since is not None:
            reasons.append(f"MongoDB is away; {self.spool.pending} answers wait in the spool")
        return Readiness(True, reasons)

    def schema_reasons(self) -> list[str]:
        """Say what people should know of the shape of the database, as it was last seen."""
        sentence = self._standing.sentence if self._standing else None
        return [] if sentence is None else [sentence]

    def log_counts(self) -> LogCounts:
        """Return how many rows were answered, are stored and wait in spools, over all processes here.

        All that used this ``STATE_DIR`` count, also those that ended or were killed. ``difference`` is 0
        unless rows were set aside.
        """
        return self.shipper.books.total()

    def names(self) -> list[str]:
        """Return the names of all models, in order."""
        return sorted({*self.specs, *self.serving.live()})

    def require(self, model: str) -> None:
        """Raise NotFoundError unless there is such a model."""
        if model not in self.names():
            raise NotFoundError(f"No model is called {model!r}. There are: {', '.join(self.names())}.")

    def describe(self, model: str) -> dict[str, Any]:
        """Return what is live for a model. Raises NotFoundError for an unknown one."""
        self.require(model)
        served = self.serving.live().get(model)
        spec = served.loaded.spec if served else self.specs[model]
        found: dict[str, Any] = {
            "name": model,
            "description": spec.description,
            "task": spec.task,
            "target": spec.target.name,
            "classes": list(spec.class_names) or None,
            "features": list(spec.features),
            "aliases": list(spec.aliases),
            "is_default": model == self.settings.default_model,
        }
        return found | (_live(served, self.serving.entry(model)) if served else {"version": None})

    def run_check(self, model: str) -> dict[str, Any]:
        """Check a model for drift now, in a process of its own, and return the report.

        The statistics need libraries that the web process does without.
        """
        found: dict[str, Any] = tasks.result_of("monitor", model, "--json", timeout_s=CHECK_TIMEOUT_S)
        return found


def _live(served: Served, entry: Mapping[str, Any] | None) -> dict[str, Any]:
    loaded = served.loaded
    told = entry or {}
    return {
        "version": loaded.version,
        "since": told.get("at"),
        "reason": told.get("reason"),
        "by": told.get("by"),
        "metrics": loaded.manifest.metrics,
        "threshold": loaded.threshold if loaded.spec.positive_index is not None else None,
        "served_by": loaded.predictor.served_by,
        "not_compiled": loaded.manifest.not_compiled,
        "created_at": loaded.manifest.created_at,
        "trained_on": loaded.manifest.trained_on,
    }


def build(settings: Settings) -> Services:
    """Make the parts of one process. Raises SpecError if a spec is wrong."""
    return Services(settings)


def prepare(services: Services) -> None:
    """Make the database ready to be worked on: indexes. May run in many processes at once.

    Raises ConflictError if a newer program has changed it in a way that this one cannot work with.
    """
    preparation.prepare(services.db, services.settings.retention_days)


def specs_of(services: Services) -> Iterator[Spec]:
    """Yield all specs in the order of their names."""
    yield from (services.specs[name] for name in sorted(services.specs))
