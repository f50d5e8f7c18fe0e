"""From a spec's drift section to the policy of a check."""

from typing import Literal

from mlops.alerts import Confirmation
from model.monitoring.policy import Policy
from model.monitoring.reference import PREDICTION, PROBABILITY
from model.spec import Spec

Kind = Literal["scheduled", "on_demand"]
QUESTION_ALPHA = 0.1


def confirmation_of(spec: Spec) -> Confirmation:
    """Return how many checks must agree before people are told.

    One for the policy that keeps a budget of false alarms, three of five for those that keep none.
    """
    drift = spec.drift
    if drift.alert_after is not None and drift.alert_of is not None:
        return Confirmation(drift.alert_after, drift.alert_of)
    return Confirmation(1, 1) if drift.policy == "margin" else Confirmation(3, 5)


def policy_of(spec: Spec, kind: Kind) -> Policy:
    """Return the policy of a check: a single question needs no budget for a month of looks.

    It is asked more than once by some, so it gets a tenth of the month's budget.
    """
    drift = spec.drift
    deltas = {name: feature.delta for name, feature in spec.features.items() if feature.delta is not None}
    deltas[PROBABILITY] = drift.output_delta
    if spec.task == "regression":
        deltas[PREDICTION] = drift.output_delta
    is_question = drift.policy == "margin" and kind == "on_demand"
    return Policy(
        name="holm" if is_question else drift.policy,
        alpha=drift.alpha * QUESTION_ALPHA if is_question else drift.alpha,
        delta=drift.delta,
        deltas=deltas,
        min_rows=drift.min_rows,
        p_threshold=drift.p_value,
    )
