"""The private MongoDB: real processes that are started, shared, stopped and killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from utils import embedded_mongo
from utils.embedded_mongo import EmbeddedMongoError
from utils.errors import UnavailableError
from utils.mongo import connection
from utils.mongo.predictions import PredictionStore

ROOT = Path(__file__).parents[2]
# Starts the private MongoDB of the folder it is given, says so, and stays until it is killed or told to go.
USER = """
import sys, signal, pathlib
from utils import embedded_mongo
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the tests were started with
with embedded_mongo.start(pathlib.Path(sys.argv[1])) as mongo:
    print(mongo.uri, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def user(tmp_path):
    """Start another process that uses the private MongoDB of ``tmp_path``."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout.readline().startswith("mongodb://")
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def nothing_left(tmp_path):
    """Whatever a test does, in the end nothing runs."""
    yield
    eventually(lambda: not is_running(tmp_path))


def eventually(is_true, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(state_dir):
    locks = [state_dir / "mongo" / name for name in ("keeper.lock", "mongod.lock")]
    return any(lock.exists() and embedded_mongo._is_held(lock) for lock in locks)


def mongod_pid(state_dir):
    return int((state_dir / "mongo" / "data" / "mongod.lock").read_text())


def keeper_pid(state_dir):
    shown = subprocess.run(
        ["ps", "-o", "ppid=", "-p", str(mongod_pid(state_dir))], check=True, capture_output=True, text=True
    )
    return int(shown.stdout)


def is_stopped(pid):
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=True, capture_output=True, text=True)
    return shown.stdout.startswith("T")


def kill_keeper(state_dir):
    """Kill the keeper and wait until the kernel has ended it."""
    os.kill(keeper_pid(state_dir), signal.SIGKILL)
    eventually(lambda: not embedded_mongo._is_kept(state_dir / "mongo"))


def port_of(uri):
    return int(uri.rpartition(":")[2].partition("/")[0])


def write(uri, text):
    db = connection.connect(uri, "vigia")
    db["notes"].insert_one({"text": text})
    connection.close(db)


def notes(uri):
    db = connection.connect(uri, "vigia")
    found = [note["text"] for note in db["notes"].find()]
    connection.close(db)
    return found


def is_up(uri):
    db = connection.connect(uri, "vigia")
    answer = connection.ping(db)
    connection.close(db)
    return answer


def test_it_takes_writes_and_its_uri_is_in_a_file_while_it_runs(tmp_path):
    with embedded_mongo.start(tmp_path) as mongo:
        write(mongo.uri, "hello")
        assert (tmp_path / "mongo-uri").read_text() == mongo.uri
        assert mongo.uri.startswith("mongodb://127.0.0.1:")

    assert not (tmp_path / "mongo-uri").exists()
    assert not is_running(tmp_path)


def test_data_are_there_after_a_restart_at_the_same_uri(tmp_path):
    with embedded_mongo.start(tmp_path) as first:
        write(first.uri, "kept")

    with embedded_mongo.start(tmp_path) as second:
        assert second.uri == first.uri
        assert notes(second.uri) == ["kept"]


def test_it_moves_to_another_port_when_the_old_one_is_taken(tmp_path):
    with embedded_mongo.start(tmp_path) as first:
        write(first.uri, "kept")
    with socket.socket() as other:
        other.bind(("127.0.0.1", port_of(first.uri)))
        second = embedded_mongo.start(tmp_path)

    assert second.uri != first.uri
    assert notes(second.uri) == ["kept"]
    write(second.uri, "goes on")
    second.stop()


def test_those_who_share_it_may_leave_in_any_order(tmp_path):
    first = embedded_mongo.start(tmp_path)
    second = embedded_mongo.start(tmp_path)
    assert first.uri == second.uri

    first.stop()
    assert is_up(second.uri)

    second.stop()
    assert not is_running(tmp_path)


def test_stopping_twice_is_stopping_once(tmp_path):
    mongo = embedded_mongo.start(tmp_path)

    mongo.stop()
    mongo.stop()

    assert not mongo.is_running()


def test_many_who_start_it_at_once_get_the_same(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        started = list(threads.map(lambda _: embedded_mongo.start(tmp_path), range(8)))
        assert len({mongo.uri for mongo in started}) == 1
        list(threads.map(lambda mongo: mongo.stop(), started))

    assert not is_running(tmp_path)


def test_a_start_while_it_is_stopping_waits_and_starts_anew(tmp_path):
    with embedded_mongo.start(tmp_path) as mongo:
        write(mongo.uri, "kept")
        leaving = threading.Thread(target=mongo.stop)
        leaving.start()
        with embedded_mongo.start(tmp_path) as next_one:
            leaving.join()
            assert notes(next_one.uri) == ["kept"]


def test_who_leaves_does_not_wait_for_an_end_that_a_newcomer_has_put_off(tmp_path):
    mongo = embedded_mongo.start(tmp_path)
    keeper = keeper_pid(tmp_path)
    os.kill(keeper, signal.SIGSTOP)  # so that the newcomer is surely there before the keeper sees nobody
    eventually(lambda: is_stopped(keeper))
    leaving = threading.Thread(target=mongo.stop)
    leaving.start()
    eventually(lambda: mongo._users.closed)

    with embedded_mongo.start(tmp_path) as next_one:
        os.kill(keeper, signal.SIGCONT)
        leaving.join(timeout=10)
        assert not leaving.is_alive()
        assert next_one.uri == mongo.uri
        write(next_one.uri, "still here")


def test_it_does_not_depend_on_the_thread_that_started_it(tmp_path):
    with ThreadPoolExecutor(1) as threads:
        mongo = threads.submit(embedded_mongo.start, tmp_path).result()

    assert is_up(mongo.uri)
    mongo.stop()


def test_it_stops_when_its_only_user_is_killed(tmp_path, user):
    user().kill()

    eventually(lambda: not is_running(tmp_path))
    assert not (tmp_path / "mongo-uri").exists()


def test_it_goes_on_when_the_one_who_started_it_is_killed_and_another_uses_it(tmp_path, user):
    starter = user()
    with embedded_mongo.start(tmp_path) as mongo:
        starter.kill()
        starter.wait()

        write(mongo.uri, "still here")

    assert not is_running(tmp_path)


def test_ctrl_c_in_the_terminal_of_its_user_does_not_reach_it(tmp_path, user):
    process = user()

    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGHUP)
    process.wait()

    eventually(lambda: not is_running(tmp_path))
    assert '"exitCode":0' in (tmp_path / "mongo" / "mongod.log").read_text()


def test_a_forked_child_does_not_keep_it(tmp_path):
    mongo = embedded_mongo.start(tmp_path)
    end, wait = os.pipe()
    child = os.fork()
    if child == 0:  # it inherits all, and lives until the pipe is closed
        os.close(wait)
        os.read(end, 1)
        os._exit(0)
    mongo.stop()

    assert not is_running(tmp_path)
    os.close(wait)
    os.close(end)
    os.waitpid(child, 0)


def test_a_killed_mongod_comes_back_at_the_same_uri_with_its_data(tmp_path):
    with embedded_mongo.start(tmp_path) as mongo:
        write(mongo.uri, "kept")
        pid = mongod_pid(tmp_path)

        os.kill(pid, signal.SIGKILL)

        pid_file = tmp_path / "mongo" / "data" / "mongod.lock"
        eventually(lambda: pid_file.read_text().strip() not in ("", str(pid)) and is_up(mongo.uri))
        assert notes(mongo.uri) == ["kept"]


def test_a_mongod_that_somebody_stopped_stays_stopped_until_the_next_start(tmp_path):
    with embedded_mongo.start(tmp_path) as mongo:
        write(mongo.uri, "kept")
        os.kill(mongod_pid(tmp_path), signal.SIGTERM)
        eventually(lambda: not mongo.is_running())

        with embedded_mongo.start(tmp_path) as again:
            assert notes(again.uri) == ["kept"]
            assert again.uri == mongo.uri


def test_when_the_keeper_is_killed_the_next_start_works(tmp_path):
    with embedded_mongo.start(tmp_path) as mongo:
        write(mongo.uri, "kept")
        kill_keeper(tmp_path)

        with embedded_mongo.start(tmp_path) as again:
            assert notes(again.uri) == ["kept"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_mongod_ends_with_a_killed_keeper(tmp_path):
    with embedded_mongo.start(tmp_path):
        kill_keeper(tmp_path)

        eventually(lambda: not is_running(tmp_path))


def test_after_a_power_cut_what_was_acknowledged_is_there(tmp_path, user):
    process = user()
    uri = (tmp_path / "mongo-uri").read_text()
    write(uri, "acknowledged")
    for pid in (keeper_pid(tmp_path), mongod_pid(tmp_path), process.pid):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not is_running(tmp_path))

    with embedded_mongo.start(tmp_path) as mongo:
        assert notes(mongo.uri) == ["acknowledged"]


def test_a_uri_file_left_behind_misleads_nobody(tmp_path):
    (tmp_path / "mongo").mkdir()
    (tmp_path / "mongo-uri").write_text("mongodb://127.0.0.1:1/")
    (tmp_path / "mongo" / "port").write_text("not a port")

    with embedded_mongo.start(tmp_path) as mongo:
        assert is_up(mongo.uri)
        assert (tmp_path / "mongo-uri").read_text() == mongo.uri


def test_stores_say_unavailable_within_three_seconds_and_work_again_after(tmp_path):
    with embedded_mongo.start(tmp_path) as mongo:
        db = connection.connect(mongo.uri, "vigia")
        store = PredictionStore(db)
        store.add_many([{"_id": "before"}])
        os.kill(mongod_pid(tmp_path), signal.SIGTERM)
        eventually(lambda: not mongo.is_running())

        begun = time.monotonic()
        with pytest.raises(UnavailableError, match="MongoDB does not answer"):
            store.add_many([{"_id": "during"}])
        assert time.monotonic() - begun < 3
        assert not connection.ping(db)

        with embedded_mongo.start(tmp_path):
            assert store.add_many([{"_id": "before"}, {"_id": "during"}]) == 1
        connection.close(db)


def program(tmp_path, text, mode=0o755):
    path = tmp_path / "mongod"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "#!/bin/sh\necho 'mongod: error while loading shared libraries: libcurl.so.4: no' >&2\nexit 127",
            r"library libcurl\.so\.4 is missing \(Debian and Ubuntu: `apt-get install libcurl4`\)",
        ),
        ("#!/bin/sh\nkill -ILL $$", "lacks AVX"),
        (
            '#!/bin/sh\necho "mongod: version \\`GLIBC_2.38\' not found" >&2; exit 1',
            "C library of this system",
        ),
        ("#!/no/such/loader\n", "GNU C library"),
        ("\x7fELF nonsense", "another processor or operating system"),
        ("#!/bin/sh\nexit 62", "version of MongoDB that this one cannot read"),
        ('#!/bin/sh\necho \'{"s":"F","msg":"Disk on fire"}\'; exit 14', "code 14: Disk on fire"),
        ("#!/bin/sh\necho no idea; exit 3", "code 3: no idea"),
    ],
)
def test_where_it_cannot_run_it_says_why_and_what_to_do(tmp_path, text, reason):
    with pytest.raises(EmbeddedMongoError, match=reason) as error:
        embedded_mongo.start(tmp_path, program(tmp_path, text))

    assert "install MongoDB" in error.value.detail
    assert "MONGO_URI" in error.value.detail
    assert not is_running(tmp_path)


def test_a_port_that_is_taken_again_and_again_is_told(tmp_path):
    with pytest.raises(EmbeddedMongoError, match="port was taken"):
        embedded_mongo.start(tmp_path, program(tmp_path, "#!/bin/sh\nexit 48"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)

    with pytest.raises(PermissionError):
        embedded_mongo.start(tmp_path)


def test_how_it_ended_is_written_down(tmp_path):
    with embedded_mongo.start(tmp_path):
        pass

    assert json.loads((tmp_path / "mongo" / "exit.json").read_text()) == {"code": 0, "errno": None}


def test_looking_whether_it_runs_disturbs_nobody_who_starts_it(tmp_path):
    is_over = threading.Event()
    with embedded_mongo.start(tmp_path) as mongo:
        pass

    def look():
        while not is_over.is_set():
            mongo.is_running()

    with ThreadPoolExecutor(2) as threads:
        looking = [threads.submit(look) for _ in range(2)]
        with embedded_mongo.start(tmp_path) as again:
            assert is_up(again.uri)
        is_over.set()
        assert [looked.result() for looked in looking] == [None, None]
