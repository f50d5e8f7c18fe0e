"""Are the stored bytes of a champion still those that were signed? Nothing is unpickled to find out.

Web processes go on with the champion they have in memory; this tells people before the next start needs it.
"""

from dataclasses import dataclass
from datetime import datetime

from mlops.alerts import Alarms, Finding
from mlops.registry import Registry
from utils.errors import IntegrityError, NotFoundError

ADVICE = (
    "Processes that run go on with the version in memory; one that starts cannot load it.",
    "Roll back to a version that is whole, or train again; find out who changed the database.",
)


@dataclass(frozen=True)
class IntegrityCheck:
    """Checks champions and tells people."""

    registry: Registry
    alarms: Alarms

    def check(self, model: str, at: datetime) -> bool:
        """Return whether the champion of a model is whole; True where there is none."""
        version = self.registry.champion(model)
        if version is None:
            return True
        problem = self._problem(model, version)
        found = {"version": version, "problem": problem}
        sentence = problem or "The stored champion is what was signed."
        finding = Finding("integrity", "integrity", "Damaged model", sentence, ADVICE, bool(problem), found)
        self.alarms.tell(model, version, [finding], at)
        return not problem

    def _problem(self, model: str, version: str) -> str:
        try:
            self.registry.verify(model, version)
        except (IntegrityError, NotFoundError) as error:
            return error.detail
        return ""
