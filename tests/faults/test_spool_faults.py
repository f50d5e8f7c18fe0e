"""What the spool promises when its process is killed, its disk is full, or its files are damaged."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from utils.errors import SpoolFullError
from utils.spool import Spool, adopt_orphans
from utils.spool.wal import FRAME_BYTES, PAGE_BYTES, WAL_HEADER_BYTES

ROOT = Path(__file__).parents[2]
ROOMY = 100_000_000

# Four threads append and note in a file what is durable; one ships to another file, or only looks.
WRITER = """
import itertools, os, sys, threading
from pathlib import Path
from utils.spool import Spool, queue
folder, said, store, fsync, shipping = sys.argv[1:]
queue.SEGMENT_BYTES = 200_000
spool = Spool.open(Path(folder), max_bytes=10**9, fsync=fsync == "fsync")
said, store = (os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY) for path in (said, store))
def write(thread):
    for number in itertools.count():
        name = b"%d-%d\\n" % (thread, number)
        spool.append(name + bytes(number * 7 % 3000), 1)
        os.write(said, name)
        if number == 0:
            os.write(1, b"begun\\n")
def ship():
    while spool.wait(60):
        if batch := spool.peek(50):
            os.write(store, b"".join(entry.payload.split(b"\\n")[0] + b"\\n" for entry in batch))
            if shipping == "ship":
                spool.forget(batch[-1].seq)
for target in (*(lambda n=n: write(n) for n in range(4)), ship):
    threading.Thread(target=target).start()
"""

# Appends `n` entries, says after each how long the log is, and dies without a word.
LEAVER = """
import os, sys
from pathlib import Path
from utils.spool import Spool
folder = Path(sys.argv[1])
spool = Spool.open(folder, max_bytes=10**9)
for number in range(int(sys.argv[2])):
    spool.append(b"%d " % number * (number * 37 % 400), 1)
    print(sum(path.stat().st_size for path in folder.glob(spool.id + "*-wal")))
sys.stdout.flush()
os._exit(9)
"""

# Takes over all it can get when told to, and names each entry it shipped.
ADOPTER = """
import sys
from pathlib import Path
from utils.spool import adopt_orphans
print("ready", flush=True)
sys.stdin.readline()
for spool in adopt_orphans(Path(sys.argv[1])):
    while batch := spool.peek(7):
        print(*(f"{spool.id}:{entry.seq}" for entry in batch), sep="\\n", flush=True)
        spool.forget(batch[-1].seq)
    spool.close()
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


def start(script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def leave(folder, n):
    """Leave a spool of ``n`` entries behind; return the length of its log after each."""
    process = start(LEAVER, folder, n)
    return [int(line) for line in process.communicate(timeout=60)[0].split()]


def only(folder, pattern):
    [path] = folder.glob(pattern)
    return path


def ship_orphans(folder):
    """Ship all that can be adopted; return what came out, and the rows that could not be read."""
    entries, unreadable = [], 0
    for spool in adopt_orphans(folder):
        while batch := spool.peek(100):
            entries += batch
            spool.forget(batch[-1].seq + batch[-1].rows - 1)
        unreadable += spool.unreadable
        spool.close()
    return entries, unreadable


@pytest.mark.parametrize("shipping", ["ship", "look"])
@pytest.mark.parametrize("fsync", ["fsync", "default"])
def test_killed_at_any_moment_nothing_is_lost_and_nothing_comes_twice(folder, tmp_path, fsync, shipping):
    chance = random.Random(f"{fsync} {shipping}")
    for attempt in range(6):
        said, store = tmp_path / f"said-{attempt}", tmp_path / f"store-{attempt}"
        process = start(WRITER, folder, said, store, fsync, shipping)
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.2))
        process.kill()
        process.communicate()
        check_after_kill(folder, said.read_text().split(), store.read_text().split())


def check_after_kill(folder, answered, shipped):
    entries, unreadable = ship_orphans(folder)
    left = [entry.payload.split(b"\n")[0].decode() for entry in entries]

    assert {*answered} <= {*shipped, *left}
    assert len(left) == len({*left})
    assert [entry.seq for entry in entries] == sorted({entry.seq for entry in entries})
    assert unreadable == 0
    assert not list(folder.iterdir())


def test_of_many_that_find_the_same_orphans_each_entry_is_shipped_by_one(folder):
    for _ in range(6):
        leave(folder, 60)
    adopters = [start(ADOPTER, folder) for _ in range(3)]
    for adopter in adopters:
        adopter.stdout.readline()
    for adopter in adopters:
        adopter.stdin.write("go\n")
        adopter.stdin.flush()
    shipped = [line for adopter in adopters for line in adopter.communicate(timeout=60)[0].split()]

    assert len(shipped) == len(set(shipped)) == 360
    assert not list(folder.iterdir())


def test_a_torn_log_keeps_every_entry_before_the_tear(folder, tmp_path):
    ends = leave(folder, 120)
    chance = random.Random(4)
    for attempt in range(40):
        torn = tmp_path / f"torn-{attempt}"
        shutil.copytree(folder, torn)
        cut = chance.randrange(WAL_HEADER_BYTES, ends[-1] + 1)
        tear(only(torn, "*-wal"), cut, chance.randbytes(chance.choice([0, 1, 700, 5000])))

        entries, _ = ship_orphans(torn)

        assert len(entries) == sum(end <= cut for end in ends)


def tear(log, size, garbage):
    os.truncate(log, size)
    with log.open("ab") as file:
        file.write(garbage)


def test_a_log_without_a_byte_left_does_not_stop_the_start(folder):
    leave(folder, 10)
    os.truncate(only(folder, "*-wal"), 0)

    assert ship_orphans(folder) == ([], 0)


def test_answered_records_behind_a_damaged_one_are_kept_aside_and_told(folder, caplog):
    ends = leave(folder, 50)
    flip(only(folder, "*-wal"), ends[19] + 40)

    entries, _ = ship_orphans(folder)

    assert [entry.seq for entry in entries] == list(range(1, 21))
    assert "cannot be read" in caplog.text
    assert only(folder, "*-wal.corrupt").stat().st_size == ends[-1]


@pytest.mark.parametrize("position", [0, 8, 16, 24])
def test_a_damaged_head_of_the_log_hides_nothing(folder, position, caplog):
    ends = leave(folder, 50)
    flip(only(folder, "*-wal"), position)

    entries, _ = ship_orphans(folder)

    assert len(entries) == 50 or only(folder, "*-wal.corrupt").stat().st_size == ends[-1]
    assert len(entries) == 50 or "cannot be read" in caplog.text


def flip(path, position):
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 0xFF]))


@pytest.mark.parametrize("content", [b"", b"x", b"garbage " * 1000])
def test_a_file_that_is_no_spool_is_set_aside_and_the_others_are_shipped(folder, content, caplog):
    leave(folder, 10)
    broken = only(folder, "*.sqlite")
    leave(folder, 10)
    broken.write_bytes(content)

    entries, _ = ship_orphans(folder)

    assert len(entries) == 10
    assert only(folder, "*.sqlite.corrupt").name == f"{broken.name}.corrupt"
    assert only(folder, "*.sqlite.corrupt-wal").stat().st_size > 10 * PAGE_BYTES
    assert "cannot be read" in caplog.text


def test_a_page_that_went_bad_costs_its_segment_and_not_the_queue(folder, monkeypatch):
    monkeypatch.setattr("utils.spool.queue.SEGMENT_BYTES", 50_000)
    spool = Spool.open(folder, max_bytes=ROOMY)
    for _ in range(3):
        for number in range(40):
            spool.append(bytes([number]) * 700, 1)
        spool.peek(1)
    spool.close()
    second = sorted(folder.glob("*.sqlite"))[1]
    tear(second, 3 * PAGE_BYTES, bytes(second.stat().st_size - 3 * PAGE_BYTES))

    entries, unreadable = ship_orphans(folder)

    assert [entry.seq for entry in entries] == [*range(1, 41), *range(81, 121)]
    assert unreadable == 40
    assert only(folder, "*.corrupt").name == f"{second.name}.corrupt"


def test_a_lost_segment_is_counted(folder, monkeypatch):
    monkeypatch.setattr("utils.spool.queue.SEGMENT_BYTES", 50_000)
    spool = Spool.open(folder, max_bytes=ROOMY)
    for _ in range(3):
        for _ in range(40):
            spool.append(bytes(700), 1)
        spool.peek(1)
    spool.close()
    sorted(folder.glob("*.sqlite"))[1].unlink()

    _, unreadable = ship_orphans(folder)

    assert unreadable == 40


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mount)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root and the right to mount")
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


def test_a_full_disk_refuses_what_it_cannot_keep_and_loses_nothing(small_disk):
    spool = Spool.open(small_disk, max_bytes=ROOMY)
    with pytest.raises(SpoolFullError, match="cannot be written"):
        while True:
            spool.append(bytes(400), 1)
    kept = spool.answered
    for _ in range(3):
        with pytest.raises(SpoolFullError):
            spool.append(bytes(400), 1)

    shipped = 0
    while batch := spool.peek(100):
        shipped += len(batch)
        spool.forget(batch[-1].seq)

    assert shipped == kept > 500
    assert spool.append(b"again", 1) == kept + 1
    spool.close()


def test_what_a_full_disk_kept_survives_a_kill(small_disk):
    filler = small_disk / "filler"
    ends = leave(small_disk, 200)
    filler.write_bytes(bytes(2_000_000 - ends[-1] - 50_000))

    entries, unreadable = ship_orphans(small_disk)

    assert (len(entries), unreadable) == (200, 0)


def test_a_log_is_made_of_frames_of_the_expected_size(folder):
    ends = leave(folder, 5)

    assert all((end - WAL_HEADER_BYTES) % FRAME_BYTES == 0 for end in ends)
