"""The monthly chance of a false alarm is shared out, and nothing of it is given out twice."""

from typing import get_args

import pytest

from model.monitoring.budget import StreamKind, part_of, share_of
from model.monitoring.ladder import ladder
from model.monitoring.policy import Policy

KINDS = get_args(StreamKind)


def test_the_parts_of_all_kinds_of_streams_are_the_whole():
    assert sum(map(part_of, KINDS)) == pytest.approx(1)
    assert min(map(part_of, KINDS)) > 0


@pytest.mark.parametrize("alpha", [0.05, 0.2])
@pytest.mark.parametrize("n_streams", [1, 7, 400])
@pytest.mark.parametrize("n_looks", [1, 3])
def test_all_looks_at_all_streams_of_a_month_spend_at_most_alpha(alpha, n_streams, n_looks):
    policy = Policy(alpha=alpha)
    rungs = ladder(policy.periods_per_month)
    spent = 0.0
    for kind in KINDS:
        budget = share_of(policy, kind, n_streams)
        windows = sum(budget.of_rung(rung, n_looks) * rung.n_windows * n_looks for rung in rungs)
        spent += n_streams * (windows + budget.reference * policy.n_references)

    assert alpha * 0.99 < spent <= alpha * (1 + 1e-9)
