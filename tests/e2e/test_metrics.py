"""``GET /metrics``: right with many workers, and when one of them is killed or recycled."""

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.running import SONG, Service, wait_until

N_GOOD, N_BAD = 900, 100


@pytest.fixture(scope="module")
def crowd(trained, tmp_path_factory):
    """A service of four workers that has answered 1,000 requests, of which 100 were bad."""
    with Service(tmp_path_factory.mktemp("crowd"), WEB_CONCURRENCY=4, **trained) as found:
        found.wait_until_ready()
        bodies = [SONG] * N_GOOD + [{"tempo": "fast"}] * N_BAD
        with ThreadPoolExecutor(16) as pool:
            statuses = [one[0] for one in pool.map(lambda body: found.post("/predict", body), bodies)]
        assert (statuses.count(200), statuses.count(422)) == (N_GOOD, N_BAD)
        yield found


def scrape(service):
    """Return all samples of one scrape over a connection of its own, so of any worker."""
    status, text = service.get("/metrics", Connection="close")
    assert status == 200
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def total(samples, name, **labels):
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def counts(service):
    found = scrape(service)
    statuses = [total(found, "predict_requests_total", status=status) for status in ("200", "422")]
    return (*statuses, total(found, "predict_rows_total"), total(found, "predict_rejected_total"))


def workers(service):
    task = f"/proc/{service.process.pid}/task/{service.process.pid}/children"
    return [int(pid) for pid in Path(task).read_text().split()]


def test_every_scrape_counts_every_request_of_every_worker(crowd):
    found = {counts(crowd) for _ in range(20)}

    assert found == {(N_GOOD, N_BAD, N_GOOD, N_BAD)}


def test_nothing_falls_when_workers_are_killed_or_recycled(crowd):
    before, killed = counts(crowd), workers(crowd)
    os.kill(killed[0], signal.SIGKILL)
    crowd.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(workers(crowd)) == 4 and not set(killed) & set(workers(crowd)), 60)
    wait_until(crowd.is_ready)

    assert {counts(crowd) for _ in range(20)} == {before}
    crowd.post("/predict", [SONG, SONG])
    assert {counts(crowd) for _ in range(20)} == {(before[0] + 1, before[1], before[2] + 2, before[3])}


def test_durations_are_in_the_histogram_by_model(crowd):
    found = scrape(crowd)
    n_done = total(found, "predict_requests_total", model="songs")

    assert total(found, "predict_request_duration_seconds_count", model="songs") == n_done
    assert total(found, "predict_request_duration_seconds_bucket", model="songs", le="+Inf") == n_done


def test_what_was_answered_is_stored_and_nothing_waits_or_is_lost(crowd):
    n_rows = total(scrape(crowd), "predict_rows_total")

    wait_until(lambda: total(scrape(crowd), "log_records_total", outcome="stored") == n_rows)
    wait_until(lambda: total(scrape(crowd), "log_records_total", outcome="answered") == n_rows)
    found = scrape(crowd)
    assert total(found, "log_queue_depth") == total(found, "log_difference_rows") == 0


def test_live_versions_and_the_store_are_shown(crowd):
    found = scrape(crowd)
    live = [sample.labels for sample in found if sample.name == "model_info"]

    # other files train models into the same MongoDB
    songs = [one for one in live if one["model"] == "songs"]
    assert [(one["served_by"], len(one["digest"])) for one in songs] == [("compiled", 12)]
    assert total(found, "store_up") == 1


def test_names_that_callers_make_up_are_no_labels(crowd):
    crowd.post("/models/made-up-model/predict", SONG)
    crowd.get("/made-up-path")

    assert "made-up" not in crowd.get("/metrics")[1]


def test_health_is_not_counted(crowd):
    crowd.get("/healthz")

    assert "healthz" not in crowd.get("/metrics")[1]


def test_the_counts_leave_nothing_behind(trained, tmp_path):
    with Service(tmp_path, **trained) as service:
        service.wait_until_ready()
        folders = folders_of(service)

    assert folders and not any(map(os.path.exists, folders))


def folders_of(service):
    """Return the folders in which a service's workers keep their counts."""
    maps = [Path(f"/proc/{pid}/maps").read_text() for pid in workers(service)]
    return set(re.findall(r"/\S*/vigia-metrics-[^/]+", "".join(maps)))
