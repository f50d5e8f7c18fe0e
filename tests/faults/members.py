"""Real mongods that a test may kill, stop and start again: the members of a replica set of its own."""

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pymongo
from pymongo.errors import PyMongoError

from tests.running import free_port, wait_until
from utils import mongod

START_S = 90
QUIESCE_MS = 500  # how long one that stops turns away who asks it; 15 s unless told


class Member:
    """One mongod; ``parameters`` are its own, such as ``ttlMonitorSleepSecs=1``."""

    def __init__(self, folder: Path, parameters: Sequence[str] = ()) -> None:
        self._parameters = [word for one in parameters for word in ("--setParameter", one)]
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self._folder = folder
        (folder / "data").mkdir(parents=True)
        self.start()

    def start(self) -> None:
        """Start the process; who wants to use it waits for a primary."""
        command = [mongod.find(), *mongod.arguments(self._folder / "data", self.port)]
        command += self._parameters
        with (self._folder / "mongod.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def kill(self) -> None:
        """End the process as a power cut of its own would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End the process as who updates it does: a primary gives its place to another member first."""
        with self.client() as client:
            client.admin.command("setParameter", 1, shutdownTimeoutMillisForSignaledShutdown=QUIESCE_MS)
        self.process.terminate()
        self.process.wait(START_S)

    def pause(self) -> None:
        """Let it answer nothing, with its connections open."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def client(self) -> pymongo.MongoClient:
        """Connect to this member alone."""
        return pymongo.MongoClient(self.host, directConnection=True, serverSelectionTimeoutMS=1_000)


class ReplicaSet:
    """Members that elect a primary."""

    def __init__(self, folder: Path, n_members: int, parameters: Sequence[str] = ()) -> None:
        self.members = [Member(folder / f"member-{number}", parameters) for number in range(n_members)]
        hosts = [member.host for member in self.members]
        self.uri = f"mongodb://{','.join(hosts)}/?replicaSet=vigia"
        try:
            self._initiate(hosts)
        except BaseException:
            self.stop()
            raise

    def _initiate(self, hosts: list[str]) -> None:
        config = {
            "_id": "vigia",
            "members": [{"_id": number, "host": host} for number, host in enumerate(hosts)],
            "settings": {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500},
        }
        wait_until(lambda: all(map(is_up, self.members)), START_S)
        with self.members[0].client() as client:
            client.admin.command("replSetInitiate", config)
        wait_until(lambda: self.primary() is not None, START_S)

    def primary(self) -> Member | None:
        """Return the member that takes writes now, None while there is none."""
        return next((member for member in self.members if is_primary(member)), None)

    def stop(self) -> None:
        """End all members."""
        for member in self.members:
            member.resume()
            member.kill()


def is_member(member: Member) -> bool:
    """Tell whether a member has all that the set has, and can be read and elected."""
    try:
        with member.client() as client:
            hello = client.admin.command("hello")
            return bool(hello["isWritablePrimary"] or hello["secondary"])
    except PyMongoError:
        return False


def is_up(member: Member) -> bool:
    """Tell whether a member answers."""
    try:
        with member.client() as client:
            return bool(client.admin.command("ping")["ok"])
    except PyMongoError:
        return False


def is_primary(member: Member) -> bool:
    """Tell whether a member takes writes."""
    try:
        with member.client() as client:
            return bool(client.admin.command("hello")["isWritablePrimary"])
    except PyMongoError:
        return False


@contextmanager
def replica_set(folder: Path, n_members: int, parameters: Sequence[str] = ()) -> Iterator[ReplicaSet]:
    """A replica set that is gone afterwards."""
    found = ReplicaSet(folder, n_members, parameters)
    try:
        yield found
    finally:
        found.stop()
