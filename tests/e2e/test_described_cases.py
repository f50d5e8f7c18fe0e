"""Cases that are made from the service's own description: no 5xx, and answers as described."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

EXAMPLES = 4
# Each of these starts a process that works for seconds.
SLOW = ("retrain", "run-pipeline", "monitor", "shadow", "experiment")


@pytest.fixture(scope="module")
def described(service):
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]


def test_every_operation_answers_made_up_requests_as_described(described):
    for operation in described:
        if not any(word in operation.path for word in SLOW):
            _check(operation)


def _check(operation):
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def answers(case):
        answer = case.call(timeout=60)
        # A model of this installation without a champion says so, and when to ask again.
        assert answer.status_code < 500 or (answer.status_code == 503 and "retry-after" in answer.headers)
        case.validate_response(answer, checks=[schemathesis.checks.response_schema_conformance])

    answers()
