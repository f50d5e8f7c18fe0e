"""The real Neptune client: what it leaves on disk, what its own sync makes of it, and servers that hang."""

import base64
import contextlib
import json
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import neptune
import psutil
import pytest
from neptune.cli.collect import collect_async_containers, collect_offline_containers
from neptune.internal.operation_processors import offline_operation_processor

from mlops.tracking import Limits, Trackers, neptune_disk
from mlops.tracking.neptune_runs import MAX_CUSTOM_ID, NeptuneTracker, custom_run_id
from mlops.tracking.port import Notify
from utils.settings import Settings

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
STEP = AT.timestamp()
CHECK = {
    "drift/tempo/statistic": 0.21,
    "drift/tempo/p_value": 0.001,
    "drift/tempo/effect": 0.5,
    "drift/tempo/n": 1000.0,
}


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Trackers]]:
    """Make trackers for one state folder; each call is a restart."""
    made: list[Trackers] = []

    def restart(limits: Limits | None = None, **settings: Any) -> Trackers:
        made.append(Trackers.build(Settings(trackers=("neptune",), state_dir=tmp_path, **settings), limits))
        return made[-1]

    yield restart
    for trackers in made:
        trackers.close(0)


@pytest.fixture
def open_here(tmp_path: Path, monkeypatch) -> Iterator[Callable[..., NeptuneTracker]]:
    """Make trackers in this process, which is quicker; the client is put back as it was."""
    original = vars(offline_operation_processor)["get_container_full_path"]
    monkeypatch.setitem(vars(offline_operation_processor), "get_container_full_path", original)
    made: list[NeptuneTracker] = []

    def restart(token: str | None = None, notify: Notify = lambda _: None) -> NeptuneTracker:
        made.append(NeptuneTracker(tmp_path / "neptune", token, "team/vigia", notify))
        return made[-1]

    yield restart
    for tracker in made:
        tracker.close()


def offline_folders(state_dir: Path) -> list[Path]:
    return sorted((state_dir / "neptune" / ".neptune" / "offline").iterdir())


def token_for(address: str) -> str:
    return base64.b64encode(json.dumps({"api_address": address}).encode()).decode()


def operations(folder: Path) -> list[dict[str, Any]]:
    lines = (line for log in sorted(folder.glob("data-*.log")) for line in log.read_text().splitlines())
    return [json.loads(line)["obj"] for line in lines]


def series(found: list[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    points: dict[str, list[tuple[float, float]]] = {}
    for operation in found:
        if operation["type"] == "LogFloats":
            values = [(value["step"], value["value"]) for value in operation["values"]]
            points.setdefault("/".join(operation["path"]), []).extend(values)
    return points


def test_an_offline_run_holds_the_drift_series(build, tmp_path: Path):
    with build() as trackers:
        trackers.log_series("songs", "3", AT, CHECK)
        trackers.log_series("songs", "3", AT + timedelta(hours=1), {"drift/tempo/p_value": 0.4})

        assert trackers.flush(30)
        [folder] = offline_folders(tmp_path)
        found = series(operations(folder))
    assert found["drift/tempo/p_value"] == [(STEP, 0.001), (STEP + 3600, 0.4)]
    assert {name: points[0] for name, points in found.items()} == {k: (STEP, v) for k, v in CHECK.items()}


def test_a_run_survives_restarts_and_a_killed_child(build, tmp_path: Path):
    with build() as trackers:
        trackers.log_series("songs", "3", AT, {"a": 1.0})
        trackers.flush(30)
        for child in psutil.Process().children():
            if "mlops.tracking.child" in child.cmdline():
                child.send_signal(signal.SIGKILL)
    with build() as trackers:
        trackers.log_series("songs", "3", AT + timedelta(hours=1), {"a": 2.0})
        trackers.flush(30)

    [folder] = offline_folders(tmp_path)
    assert series(operations(folder)) == {"a": [(STEP, 1.0), (STEP + 3600, 2.0)]}


def test_a_server_that_accepts_and_never_answers_delays_nothing_and_loses_nothing(
    build, tmp_path: Path, silent_server: str, caplog
):
    token = token_for(silent_server)
    trackers = build(neptune_api_token=token, neptune_project="team/vigia")
    started = time.perf_counter()
    trackers.log_series("songs", "3", AT, CHECK)
    elapsed = time.perf_counter() - started
    assert trackers.flush(40)

    [folder] = offline_folders(tmp_path)
    assert elapsed < 0.05
    assert series(operations(folder))["drift/tempo/p_value"] == [(STEP, 0.001)]
    assert caplog.text.count("hosted service closed in March 2026") == 1
    assert token not in caplog.text


def test_a_server_that_hangs_in_the_middle_is_cut_off(build, tmp_path: Path, half_dead_server: str):
    limits = Limits(call_s=3, n_attempts=1)
    token = token_for(half_dead_server)
    trackers = build(limits, neptune_api_token=token, neptune_project="team/vigia")
    trackers.log_series("songs", "3", AT, CHECK)

    assert trackers.flush(30)
    [status] = trackers.status()
    assert (status["sent"], status["failed"], status["timeouts"]) == (0, 1, 1)


def test_params_metrics_and_pictures_are_part_of_the_run(open_here, tmp_path: Path):
    picture = tmp_path / "roc.png"
    picture.write_bytes(b"picture")
    tracker = open_here()
    tracker.log_params("songs", "3", {"n_trees": 100, "tuned": True})
    tracker.log_metrics("songs", "3", {"roc_auc": 0.93})
    tracker.log_files("songs", "3", {"roc": picture})

    [folder] = offline_folders(tmp_path)
    values = {"/".join(o["path"]): o["value"] for o in operations(folder) if "value" in o}
    assert values["versions/3/params/n_trees"] == 100
    assert values["versions/3/metrics/roc_auc"] == 0.93
    assert [file.read_bytes() for file in (folder / "upload_path").iterdir()] == [b"picture"]


def test_the_clients_own_sync_makes_one_run_of_all_restarts_and_processes(open_here, tmp_path: Path):
    both = [open_here(), open_here()]  # at once, such as web and clock
    for hour, tracker in enumerate([*both, open_here()]):
        tracker.log_series("songs", "3", AT + timedelta(hours=hour), {"a": float(hour)})
        tracker.close()
    server, data = RecordingServer(), tmp_path / "neptune" / ".neptune"
    for container in collect_offline_containers(path=data):
        container.sync(base_path=data, backend=server, project=SimpleNamespace(id="project"))

    assert server.n_runs == 1
    assert sorted(series(server.received["run-1"])["a"]) == [(STEP + 3600 * n, float(n)) for n in range(3)]
    assert offline_folders(tmp_path) == []


def test_what_was_written_offline_is_synced_into_the_servers_run(open_here, tmp_path: Path):
    tracker = open_here()
    tracker.log_series("songs", "3", AT, {"a": 1.0})
    tracker.close()
    neptune_disk.adopt(tmp_path / "neptune", "songs", "run-7")
    server, data = RecordingServer(), tmp_path / "neptune" / ".neptune"
    for container in collect_async_containers(path=data, backend=server):
        container.sync(base_path=data, backend=server)

    assert server.n_runs == 0
    assert series(server.received["run-7"]) == {"a": [(STEP, 1.0)]}


def test_logging_goes_on_after_a_sync_took_the_folder_away(open_here, tmp_path: Path):
    tracker = open_here()
    tracker.log_series("songs", "3", AT, {"a": 1.0})
    [folder] = offline_folders(tmp_path)
    shutil.rmtree(folder.rename(tmp_path / "taken by a sync"))
    tracker.log_series("songs", "3", AT + timedelta(hours=1), {"a": 2.0})

    assert series(operations(folder)) == {"a": [(STEP + 3600, 2.0)]}


def test_a_token_that_cannot_be_read_is_said_and_not_shown(open_here, tmp_path: Path):
    notices: list[str] = []
    open_here("s3cret-rubbish", notices.append).log_series("songs", "3", AT, {"a": 1.0})

    assert len(offline_folders(tmp_path)) == 1
    assert notices[0].startswith("NEPTUNE_API_TOKEN cannot be read")
    assert "s3cret" not in notices[0]


@pytest.fixture
def asked(monkeypatch) -> list[dict[str, Any]]:
    """What the client is asked for; its debug mode stands in for a server that takes everything."""
    real, asked = neptune.init_run, list[dict[str, Any]]()

    def debug(**options: Any) -> neptune.Run:
        asked.append(options)
        return real(**{**options, "mode": "debug"})

    monkeypatch.setattr(neptune, "init_run", debug)
    return asked


def test_online_a_model_gets_one_run_by_its_custom_id(open_here, page_server: str, asked):
    tracker = open_here(token_for(page_server))
    for version in ("3", "4"):
        tracker.log_series("songs", version, AT, CHECK)

    [options] = asked
    assert (options["mode"], options["custom_run_id"]) == ("async", "vigia-songs")
    assert options["project"] == "team/vigia"


def test_once_online_what_was_written_offline_is_handed_over(
    open_here, page_server: str, asked, tmp_path: Path
):
    neptune_disk.claim(tmp_path / "neptune", "songs").release()
    notices: list[str] = []
    open_here(token_for(page_server), notices.append).log_series("songs", "3", AT, CHECK)

    assert len(list((tmp_path / "neptune" / ".neptune" / "async").iterdir())) == 1
    assert "neptune sync --path" in notices[0]


def test_a_server_that_refuses_means_offline_and_the_token_is_not_shown(
    open_here, page_server: str, tmp_path: Path, monkeypatch
):
    real, notices = neptune.init_run, list[str]()

    def refuse(**options: Any) -> neptune.Run:
        if options["mode"] == "async":
            raise neptune.exceptions.NeptuneException(f"no such project for {options['api_token']}")
        return real(**options)

    monkeypatch.setattr(neptune, "init_run", refuse)
    open_here(token_for(page_server), notices.append).log_series("songs", "3", AT, {"a": 1.0})

    [folder] = offline_folders(tmp_path)
    assert notices[0].startswith("Neptune refused (no such project for ***); writing offline runs")
    assert series(operations(folder)) == {"a": [(STEP, 1.0)]}


@pytest.mark.parametrize("model", ["songs", "a-model-with-a-name-far-too-long-for-neptune"])
def test_custom_run_ids_are_stable_and_short_enough(model: str):
    assert custom_run_id(model) == custom_run_id(model)
    assert len(custom_run_id(model)) <= MAX_CUSTOM_ID


class RecordingServer:
    """Stands in for Neptune's servers, which are gone: what the client's own sync would send them."""

    def __init__(self) -> None:
        self.n_runs = 0
        self.received: dict[str, list[dict[str, Any]]] = {}

    def create_run(self, project_id: str) -> SimpleNamespace:
        self.n_runs += 1
        return self.get_metadata_container(f"run-{self.n_runs}", None)

    def get_metadata_container(self, container_id: str, expected_container_type: object) -> SimpleNamespace:
        kind = SimpleNamespace(value="run")
        return SimpleNamespace(
            id=container_id, sys_id=container_id, workspace="team", project_name="vigia", type=kind
        )

    def execute_operations(
        self, container_id: str, container_type: object, operations: list[Any], operation_storage: object
    ) -> tuple[int, list[object]]:
        self.received.setdefault(container_id, []).extend(operation.to_dict() for operation in operations)
        return len(operations), []


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def half_dead_server() -> Iterator[str]:
    """A server that answers the first connection and says nothing from then on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_once, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def page_server() -> Iterator[str]:
    """A server that answers every connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_all, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def answer_all(server: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the fixture closes it
        while True:
            answer_once(server)


def answer_once(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
