"""One job of the clock for every model in turn: what is wrong with one keeps no other from it, and is told.

A round in which a model failed has failed: so the gauges of the clock show it, and whoever is to be told is.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from mlops.alerts import Alarms, Finding
from model.spec import Spec
from utils.errors import UnavailableError, VigiaError

log = logging.getLogger(__name__)

Act = Callable[[Spec, datetime], str | None]
FAILED = "failed"
ADVICE = ("Until this is mended nobody watches for what this job finds.", "The log of the clock says more.")


class RoundError(VigiaError):
    """A job failed for some models; ``detail`` says what came of each."""

    code = "round"
    title = "Job failed"


@dataclass(frozen=True)
class Round:
    """What the clock calls: does ``act`` for each model and returns what came of it.

    Parameters
    ----------
    job : str
        Its name.
    act : callable
        Gets a spec and the due time; returns a word for what it found, None for nothing.
    specs, alarms : callable
        Return the models, and who tells people.
    """

    job: str
    act: Act
    specs: Callable[[], Iterable[Spec]]
    alarms: Callable[[], Alarms]

    def __call__(self, due_at: datetime) -> str:
        """Do it. Raises RoundError if it failed for a model, UnavailableError while MongoDB is away."""
        found = {spec.name: self._done(spec, due_at) for spec in self.specs()}
        text = ", ".join(f"{name} {word}" for name, word in found.items() if word) or "nothing to do"
        if FAILED in found.values():
            raise RoundError(text)
        return text

    def _done(self, spec: Spec, due_at: datetime) -> str | None:
        try:
            word, problem = self.act(spec, due_at), ""
        except UnavailableError:
            raise
        except Exception as error:  # the other models must not wait for this one to be mended
            log.exception("%s of %s failed", self.job, spec.name)
            word, problem = FAILED, error.detail if isinstance(error, VigiaError) else repr(error)
        self._tell(spec.name, problem, due_at)
        return word

    def _tell(self, model: str, problem: str, at: datetime) -> None:
        sentence = problem or f"{self.job} works again."
        found = {"job": self.job, "problem": problem}
        finding = Finding(
            f"failed/{self.job}", "failed", f"Failing {self.job}", sentence, ADVICE, bool(problem), found
        )
        self.alarms().tell(model, "-", [finding], at)
