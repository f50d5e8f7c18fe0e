"""The versions that this process answers with, and one prediction from checked rows to logged answer.

``Serving`` keeps the champion of every model in memory. A follower thread asks MongoDB each second who the
champion is; a new one is loaded and proven on its golden rows before it takes over, and the old one answers
until then. It also asks which challengers answer a share of the requests beside their champion (canaries).
MongoDB is never asked while a request waits, except for a version that is neither.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol
from zlib import crc32

from model.answer import Answer, Judge
from model.columns import RowWarning
from model.schema import Batch, Schema
from model.spec import Spec
from model.versions import LoadedVersion
from utils.errors import NotFoundError, UnavailableError, VigiaError
from utils.time import prediction_ids

log = logging.getLogger(__name__)


@dataclass(slots=True)
class UnderWay:
    """What a request turned out to ask, for those who count: filled in while it is answered."""

    model: str = ""
    version: str = ""
    n_rows: int = 0


under_way: ContextVar[UnderWay | None] = ContextVar("under_way", default=None)

MAX_OTHER_VERSIONS = 4
HASHES = 2**32
# How long MongoDB is not asked again by requests for a model without champion.
LOOK_PAUSE_S = 5.0
# How long a version that cannot be loaded is left alone: it is proven anew then, in case somebody mended it.
FAILURE_PAUSE_S = 30.0


class AnswerLog(Protocol):
    """Where answers are kept before they are sent."""

    def add(self, served: "Served", batch: Batch, answered: "Answered", latency_ms: float) -> None:
        """Keep one answered request. Raises SpoolFullError when it cannot be kept."""


@dataclass(frozen=True, slots=True)
class Served:
    """One version in memory, ready to answer."""

    loaded: LoadedVersion
    schema: Schema
    judge: Judge

    @property
    def name(self) -> str:
        """Model and version, for log lines."""
        return f"{self.loaded.model} {self.loaded.version}"


@dataclass(frozen=True, slots=True)
class Canary:
    """A challenger that answers requests whose id has a hash below ``limit``."""

    served: Served
    limit: float

    def takes(self, request_id: str) -> bool:
        """Tell whether a request is one of its share: the same for the same id, in every process."""
        return crc32(request_id.encode()) < self.limit


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a version could not be loaded, and when to try again by the monotonic clock."""

    reason: str
    again_at: float


@dataclass(frozen=True, slots=True)
class Answered:
    """One answered request."""

    model: str
    version: str
    request_id: str
    answers: list[Answer]


class Serving:
    """Answers with the champions, and follows who they are."""

    def __init__(
        self,
        models: Mapping[str, Spec],
        load: Callable[[str, str], LoadedVersion],
        champions: Callable[[], Mapping[str, Any]],
        answer_log: AnswerLog,
        *,
        max_rows: int,
        canaries: Callable[[], Sequence[Mapping[str, Any]]] = list,
    ) -> None:
        self._models = models
        self._load = load
        self._read_champions = champions
        self._read_canaries = canaries
        self._log = answer_log
        self._max_rows = max_rows
        self._champions: dict[str, Served] = {}
        self._entries: dict[str, Mapping[str, Any]] | None = None
        self._canaries: dict[str, Canary] = {}
        self._others: OrderedDict[tuple[str, str], Served] = OrderedDict()
        self._failures: dict[str, str] = {}
        self._unfit: dict[tuple[str, str], Unfit] = {}
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._look_again_at = 0.0

    def chosen(self, model: str, request_id: str) -> Served:
        """Return the version that answers a request: the champion, or its canary for a share of the ids.

        Raises as ``champion`` does.
        """
        if self._canaries:  # almost always there are none
            canary = self._canaries.get(model)
            if canary is not None and canary.takes(request_id):
                return _noted(canary.served)
        return self.champion(model)

    def champion(self, model: str) -> Served:
        """Return the version that answers for a model.

        Raises NotFoundError for an unknown model, UnavailableError while it has no champion.
        """
        served = self._champions.get(model) or self._just_promoted(model)
        if served is not None:
            return _noted(served)
        if model not in self._models:
            names = ", ".join(sorted({*self._models, *self._champions})) or "none"
            raise NotFoundError(f"No model is called {model!r}. There are: {names}.")
        if not self.is_informed:
            raise UnavailableError(
                f"MongoDB is away, so which version of {model!r} answers is not known yet."
            )
        raise UnavailableError(
            f"{model!r} has no champion yet. Train one: python -m model train {model} --promote"
        )

    @property
    def is_informed(self) -> bool:
        """Whether this process has ever been told which versions are champions."""
        return self._entries is not None

    def entry(self, model: str) -> Mapping[str, Any] | None:
        """Return what the history says of the version that answers for a model, None where none does."""
        return (self._entries or {}).get(model)

    def _just_promoted(self, model: str) -> Served | None:
        """Look for a first champion that the follower has not seen yet; never while others look."""
        is_due = time.monotonic() >= self._look_again_at
        if model in self._models and is_due and self._looking.acquire(blocking=False):
            self._look_again_at = time.monotonic() + LOOK_PAUSE_S
            try:
                self._follow()
            except UnavailableError as error:
                log.warning("champions cannot be looked up: %s", error.detail)
            finally:
                self._looking.release()
        return self._champions.get(model)

    def version(self, model: str, version: str) -> Served:
        """Return one version of a model, from memory or from the registry.

        Raises NotFoundError where there is none, UnavailableError while MongoDB is away.
        """
        champion = self._champions.get(model)
        if champion is not None and champion.loaded.version == version:
            return _noted(champion)
        served = self._others.get((model, version)) or self._served(model, version)
        with self._lock:  # not while it is loaded: others would wait for MongoDB with us
            self._others[model, version] = served
            self._others.move_to_end((model, version))
            if len(self._others) > MAX_OTHER_VERSIONS:
                self._others.popitem(last=False)
        return _noted(served)

    def predict(
        self, served: Served, batch: Batch, request_id: str, *, is_explained: bool = False
    ) -> Answered:
        """Score the rows, keep the answers in the log, and return them.

        Raises SpoolFullError when they cannot be kept: nothing is answered that would be lost.
        """
        start = time.perf_counter()
        scores = served.loaded.predictor.scores(batch.numbers, batch.texts)
        answers = served.judge.answers(scores, prediction_ids(len(batch)), _warnings(served, batch))
        if is_explained:
            explanations = served.loaded.explainer.explain(batch.numbers, batch.texts, scores)
            for answer, explanation in zip(answers, explanations, strict=True):
                answer.explanation = explanation
        answered = Answered(served.loaded.model, served.loaded.version, request_id, answers)
        self._log.add(served, batch, answered, (time.perf_counter() - start) * 1_000)
        if (request := under_way.get()) is not None:
            request.n_rows += len(batch)
        return answered

    def live(self) -> dict[str, Served]:
        """Return the champions in memory by model."""
        return dict(self._champions)

    def failures(self) -> dict[str, str]:
        """Return for each model why its newest champion could not be loaded."""
        return dict(self._failures)

    def refresh(self) -> None:
        """Load champions and canaries that are not in memory yet. Raises UnavailableError without MongoDB."""
        with self._looking:  # two at once could put an older champion back
            self._follow()

    def _follow(self) -> None:
        entries = self._read_champions()
        found = {model: self._failure(model, entry["version"]) for model, entry in entries.items()}
        self._failures = {model: reason for model, reason in found.items() if reason is not None}
        answering = {model: entry for model, entry in entries.items() if found[model] is None}
        self._entries = (self._entries or {}) | answering
        self._follow_canaries()

    def _failure(self, model: str, version: str) -> str | None:
        """Have a version answer for a model; return why it cannot."""
        current = self._champions.get(model)
        if current is not None and current.loaded.version == version:
            return None
        served = self._proven("champion", model, version)
        if served is None:
            return self._unfit[model, version].reason
        self._champions[model] = served
        log.info("champion %s %s answers from now on", model, version)
        return None

    def _follow_canaries(self) -> None:
        wanted = self._read_canaries()
        if not wanted and not self._canaries:
            return
        found = {entry["model"]: self._canary(entry) for entry in wanted}
        self._canaries = {model: canary for model, canary in found.items() if canary is not None}

    def _canary(self, entry: Mapping[str, Any]) -> Canary | None:
        model, version = entry["model"], entry["version"]
        if model not in self._champions:
            return None
        current = self._canaries.get(model)
        if current is None or current.served.loaded.version != version:
            served = self._proven("canary", model, version)
        else:
            served = current.served
        return None if served is None else Canary(served, entry["share"] * HASHES)

    def _proven(self, role: str, model: str, version: str) -> Served | None:
        """Return a version ready to answer, None while it cannot be; one that failed is left alone a while.

        Raises UnavailableError without MongoDB.
        """
        unfit = self._unfit.get((model, version))
        if unfit is not None and time.monotonic() < unfit.again_at:
            return None
        try:
            return self._served(model, version)
        except UnavailableError:
            raise
        except VigiaError as error:
            log.error("%s %s %s cannot be loaded: %s", role, model, version, error.detail)
            self._unfit[model, version] = Unfit(error.detail, time.monotonic() + FAILURE_PAUSE_S)
            return None

    def _served(self, model: str, version: str) -> Served:
        loaded = self._load(model, version)
        judge = Judge(loaded.spec, loaded.threshold, loaded.conformal)
        return Served(loaded, Schema(loaded.spec, max_rows=self._max_rows), judge)


def _warnings(served: Served, batch: Batch) -> Sequence[Sequence[RowWarning]]:
    """Return what is odd about each row, with what only a comparison with training rows can tell."""
    detector = served.loaded.detector
    if detector is None:
        return batch.warnings
    found = detector.warnings(batch.numbers, batch.texts)
    return [old if new is None else [*old, new] for old, new in zip(batch.warnings, found, strict=True)]


def _noted(served: Served) -> Served:
    """Return ``served`` as the version that the request under way asks."""
    if (request := under_way.get()) is not None:
        request.model, request.version = served.loaded.model, served.loaded.version
    return served
