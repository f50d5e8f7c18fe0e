"""Kills and stops at random for as long as one likes, under load, and tells what was lost.

    python -m tests.faults.campaign --minutes 10 --seed 4 [--keys]

A replica set of three, a service of two workers, clients that never rest; each few seconds one of them is
killed, stopped for a while, asked to end, or loses its place as primary. Prints one JSON object in the end.
With keys, each request is asked again under its Idempotency-Key until it is answered, and then nothing at all
may be stored that was not answered.
"""

import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click

from tests.e2e.small_model import small_model
from tests.faults.members import ReplicaSet, replica_set
from tests.faults.traffic import Traffic, counts, losses, stored_rows
from tests.running import Service, wait_until
from utils.mongo import connection

QUIET_S = 120


class Campaign:
    """A service on a replica set, and what may happen to them."""

    def __init__(
        self, mongo: ReplicaSet, settings: dict[str, object], state: Path, seed: int, *, is_keyed: bool
    ) -> None:
        self._mongo = mongo
        self._settings = settings
        self._state = state
        self._chance = random.Random(seed)
        self.happened: Counter[str] = Counter()
        self.service = self._start()
        self.traffic = Traffic(self.service, pause_s=0.002, is_keyed=is_keyed)

    def run(self, until: float) -> None:
        """Let things happen until an instant of the monotonic clock."""
        events = [getattr(self, name) for name in dir(self) if name.startswith("on_")]
        with self.traffic:
            while time.monotonic() < until:
                self._happen(self._chance.choice(events))
                time.sleep(self._chance.uniform(0.5, 5))
            self.traffic.flow()

    def _happen(self, event: Callable[[], None]) -> None:
        self.happened[event.__name__.removeprefix("on_")] += 1
        event()
        if self.service.process.poll() is not None:
            self.service = self._start()
            self.traffic.port = self.service.port

    def _start(self) -> Service:
        return Service(self._state, **self._settings, WEB_CONCURRENCY=2).wait_until_ready(120)

    def on_kill_a_worker(self) -> None:
        """End one of the web processes."""
        self._signal_worker(signal.SIGKILL)

    def on_pause_a_worker(self) -> None:
        """Let one of the web processes hang for a while."""
        worker = self._signal_worker(signal.SIGSTOP)
        time.sleep(self._chance.uniform(0.5, 4))
        if worker:
            os.kill(worker, signal.SIGCONT)

    def on_kill_the_master(self) -> None:
        """End the master alone."""
        self.service.process.kill()
        self.service.process.wait()

    def on_kill_all(self) -> None:
        """End master and workers at one moment."""
        os.killpg(self.service.process.pid, signal.SIGKILL)
        self.service.process.wait()

    def on_stop(self) -> None:
        """Ask the service to end."""
        self.service.stop(timeout_s=60)

    def on_reload(self) -> None:
        """Ask the master for new workers."""
        self.service.process.send_signal(signal.SIGHUP)

    def on_step_down(self) -> None:
        """Let another member become primary."""
        if (primary := self._mongo.primary()) is not None:
            with primary.client() as client:
                client.admin.command("replSetStepDown", 10, secondaryCatchUpPeriodSecs=5, force=True)

    def on_kill_a_mongod(self) -> None:
        """End a member, mostly the primary, and start it again after a while."""
        member = self._mongo.primary() or self._mongo.members[0]
        member.kill()
        time.sleep(self._chance.uniform(0, 3))
        member.start()

    def on_kill_every_mongod(self) -> None:
        """End all members and start them again after a while."""
        for member in self._mongo.members:
            member.kill()
        time.sleep(self._chance.uniform(0, 5))
        for member in self._mongo.members:
            member.start()

    def on_pause_every_mongod(self) -> None:
        """Let all members hang for a while."""
        for member in self._mongo.members:
            member.pause()
        time.sleep(self._chance.uniform(1, 15))
        for member in self._mongo.members:
            member.resume()

    def _signal_worker(self, number: int) -> int:
        master = self.service.process.pid
        found = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        worker = int(self._chance.choice(found)) if found else 0
        if worker:
            os.kill(worker, number)
        return worker


def is_quiet(service: Service) -> bool:
    """Tell whether everything that was answered is stored."""
    found = counts(service)
    return found["spooled"] == found["difference"] == 0


@click.command()
@click.option("--minutes", default=1.0, show_default=True, help="How long.")
@click.option("--seed", default=4, show_default=True, help="What happens when.")
@click.option("--keys", is_flag=True, help="Ask again under an Idempotency-Key.")
def main(minutes: float, seed: int, keys: bool) -> None:
    """Kill and stop at random under load, and tell what was lost."""
    with tempfile.TemporaryDirectory() as name, replica_set(Path(name) / "mongo", 3) as mongo:
        folder = Path(name)
        with small_model(mongo.uri, folder) as settings:
            campaign = Campaign(mongo, settings, folder / "service", seed, is_keyed=keys)
            campaign.run(time.monotonic() + 60 * minutes)
            wait_until(lambda: is_quiet(campaign.service), QUIET_S, lambda: f"{counts(campaign.service)}")
            db = connection.connect(mongo.uri, str(settings["MONGO_DB"]))
            traffic = campaign.traffic
            found = {
                "answered": len(traffic.answered),
                "statuses": traffic.statuses,
                "cut": len(traffic.cut),
                "happened": campaign.happened,
                "log": counts(campaign.service),
                "in MongoDB": db["predictions"].count_documents({}),
                **losses(db, traffic),
                "stored, the answer cut": len(stored_rows(db, traffic).keys() - traffic.answered.keys()),
            }
            connection.close(db)
            campaign.service.stop(timeout_s=60)
    click.echo(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
