"""Why a stored answer is what it is: the version that gave it scores the kept row again, and explains that.

Where that cannot be done, the page says why instead.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.context import services
from app.dashboard.language import t
from mlops.serving import Served, under_way
from model.answer import Answer, ClassAnswer
from model.artifact import OtherPackagesError
from model.explanation import Explanation
from model.schema import Batch
from utils.errors import IntegrityError, InvalidRowsError, NotFoundError, UnavailableError

BUDGET_S = 0.5
# Answers of the compiled graph and of the pipeline differ in the last digits only.
CLOSE = 1e-4
PROBLEMS = (
    (OtherPackagesError, "why.packages"),
    (NotFoundError, "why.gone"),
    (IntegrityError, "why.damaged"),
    (InvalidRowsError, "why.refused"),
    (UnavailableError, "why.away"),
)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Why:
    """An explanation, or the sentence that says why there is none."""

    explanation: Explanation | None = None
    problem: str = ""

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Features and how much they moved the score, the largest first."""
        found = self.explanation.contributions.items() if self.explanation else ()
        return sorted(found, key=lambda one: -abs(one[1]))

    @property
    def largest(self) -> float:
        """How much the first one moved it."""
        return max((abs(value) for _, value in self.ranked), default=0.0) or 1.0


def why(model: str, row: Row) -> Why:
    """Explain a logged prediction by the version that made it."""
    hidden = services().redaction.names(model) & row["features"].keys()
    if hidden:
        return Why(problem=t("why.redacted", names=", ".join(sorted(hidden))))
    token = under_way.set(None)  # nobody asks the model anything here
    try:
        return _explained(services().serving.version(model, row["version"]), row)
    except tuple(kind for kind, _ in PROBLEMS) as error:
        key = next(key for kind, key in PROBLEMS if isinstance(error, kind))
        return Why(problem=t(key, version=row["version"]))
    finally:
        under_way.reset(token)


def _explained(served: Served, row: Row) -> Why:
    batch: Batch = served.schema.from_rows([row["features"]])
    scores = served.loaded.predictor.scores(batch.numbers, batch.texts)
    answer = served.judge.answers(scores, [row["_id"]], batch.warnings)[0]
    if not _is_same(answer, row):
        return Why(problem=t("why.other", version=row["version"]))
    return Why(served.loaded.explainer.explain(batch.numbers, batch.texts, scores, BUDGET_S)[0])


def _is_same(answer: Answer, row: Row) -> bool:
    """Tell whether an answer is the one that was logged: else the kept row is not the one that was asked."""
    if isinstance(answer, ClassAnswer):
        return math.isclose(answer.probability, row["probability"], abs_tol=CLOSE)
    return math.isclose(answer.prediction or 0.0, row["prediction"] or 0.0, rel_tol=CLOSE, abs_tol=CLOSE)
