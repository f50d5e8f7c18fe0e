"""A small share of the made-up requests of ``tests.fuzz.api``: answers are as the service describes them."""

import pytest

from tests.fuzz.api import ADMIN, CHECKS, ask
from tests.running import Service


@pytest.fixture(scope="module")
def guarded(trained, tmp_path_factory):
    """A service that asks for a key."""
    with Service(tmp_path_factory.mktemp("guarded"), ADMIN_API_KEYS=ADMIN, **trained) as found:
        yield found.wait_until_ready()


def test_made_up_requests_to_every_route_are_answered_as_described(guarded):
    # Models of this installation without a champion say so with 503, which is described; no other 5xx is.
    checks = CHECKS.replace("not_a_server_error,", "")
    found = ask(guarded, n_examples=2, seed=1, phases="examples,fuzzing,stateful", checks=checks)

    assert found.is_fine, found.text
    assert found.n_cases > 100
    assert "unexpected error" not in guarded.log_path.read_text()
