"""gunicorn's access log: there where it is asked for, and no work where it is not."""

import uuid

import pytest

from tests.running import Service, wait_until


@pytest.mark.parametrize(("asked", "is_told"), [("--access-logfile -", True), ("", False)])
def test_requests_are_told_where_somebody_asks_for_it(mongo_uri, tmp_path, asked, is_told):
    database = {"MONGO_URI": mongo_uri, "MONGO_DB": f"access_{uuid.uuid4().hex[:12]}"}
    with Service(tmp_path, **database, GUNICORN_CMD_ARGS=asked) as service:
        wait_until(lambda: "Booting worker" in service.log_path.read_text())
        assert service.get("/livez")[0] == 200

    assert ('"GET /livez HTTP/1.1" 200' in service.log_path.read_text()) == is_told
