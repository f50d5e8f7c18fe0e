"""Two made-up weeks in the life of three models, for newcomers: the rows are drawn, all else is real.

Each request is read, answered and logged by the product's own code at a time in the past; labels come days
later; checks run when they were due, and say what they find. Only the clock of this process is set back.
Writes to the database that it is given, so give it one of its own. ``mlops.visitors`` goes on from there.
"""

import csv
import io
import logging
import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from data import figures, simulate, tables
from mlops.answer_log import logged
from mlops.counting import hour_of
from mlops.labelling import Given
from mlops.operations import Operations
from mlops.record import decode, documents, encode
from mlops.retraining import Order
from mlops.serving import Answered, Served, Serving
from model.schema import Batch
from model.spec import Spec
from utils.errors import InvalidRowsError
from utils.mongo.predictions import PredictionStore
from utils.time import now, set_to

log = logging.getLogger(__name__)

Row = dict[str, str]
OnStep = Callable[[str, int, int], None]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
N_DAYS, HOURS_A_DAY = 14, 24
SEED = 20_260
SPOOL = "demo"
# Checks are what takes long: few while nothing happens, more as soon as there is something to find.
CHECK_EVERY_H, MEASURE_EVERY_H = 12, 42
QUIET_DAYS, QUIETLY_EVERY_H = 7, 84
BY = "demo"
REASON = "What comes since last week is here to stay, and this version has learnt from it."
# Requests by hour of the day (UTC): quiet nights, two peaks.
RHYTHM = (2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 10, 10, 9, 9, 10, 9, 8, 8, 9, 10, 9, 7, 5, 3)
SATURDAY, WEEKEND_SHARE = 5, 0.7
BAD_SHARE = 0.01
MAX_ROWS_A_REQUEST = 12


@dataclass(frozen=True)
class Change:
    """What happens to the rows of a model between two days, counted from the beginning."""

    start: float
    end: float
    change: Callable[[Row, random.Random], Row]

    def of(self, row: Row, day: float, randomly: random.Random) -> Row:
        """Return a row of a day as it is sent."""
        return self.change(row, randomly) if self.start <= day < self.end else row


@dataclass(frozen=True)
class Story:
    """What happens to one model.

    ``n_rows_a_day`` is that of a working day; ``coverage`` the share of rows that get a label, on average
    ``delay_days`` later; on day ``retrained_on`` it learns anew, from labelled rows since its first change.
    """

    model: str
    n_rows_a_day: int
    coverage: float
    delay_days: float
    changes: Sequence[Change] = ()
    retrained_on: float | None = None


def _faster(row: Row, randomly: random.Random) -> Row:
    """A new source of tracks brings quicker and louder ones."""
    if not row["tempo"] or randomly.random() < 0.3:
        return row
    tempo = min(float(row["tempo"]) + randomly.uniform(12, 30), 249.0)
    loudness = min(float(row["loudness"]) + randomly.uniform(0.5, 2.5), 4.0)
    return row | {"tempo": f"{tempo:.3f}", "loudness": f"{loudness:.3f}"}


def _without_age(row: Row, randomly: random.Random) -> Row:
    """A form lost a field, so ages are missing more often."""
    return row | {"Age": ""} if randomly.random() < 0.45 else row


STORIES = (
    Story("songs", 800, 0.6, 0.9, (Change(7.5, math.inf, _faster),), retrained_on=11.0),
    Story("cars", 320, 0.5, 0.7),
    Story("titanic", 240, 0.7, 0.6, (Change(12.6, math.inf, _without_age),)),
)


class StoredAnswers:
    """Keeps answers as the spool and its shipper would, without the way over the disk."""

    def __init__(self, predictions: PredictionStore) -> None:
        self._predictions = predictions
        self._waiting: list[dict[str, Any]] = []
        self._seq = 0

    def add(self, served: Served, batch: Batch, answered: Answered, latency_ms: float) -> None:
        """Keep one answered request until ``store``."""
        record = decode(encode(logged(served, batch, answered, latency_ms)))
        self._waiting += documents(record, SPOOL, self._seq)
        self._seq += len(batch)

    def store(self) -> None:
        """Store what was kept since the last time."""
        waiting, self._waiting = self._waiting, []
        self._predictions.add_many(waiting)


@dataclass
class Traffic:
    """What one model is asked from ``start`` on, and the labels that are still to come."""

    story: Story
    start: datetime
    randomly: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311  no secret
    rows: deque[Row] = field(default_factory=deque)
    labels: list[tuple[datetime, str, str]] = field(default_factory=list)
    n_drawn: int = 0

    @property
    def target(self) -> str:
        """The column that a client does not send."""
        return tables.TABLES[self.story.model].target

    def requests(self, hour: datetime) -> Iterator[tuple[datetime, list[Row]]]:
        """Yield the requests of an hour by time, with their rows."""
        share = RHYTHM[hour.hour] / sum(RHYTHM) * (WEEKEND_SHARE if hour.weekday() >= SATURDAY else 1)
        n_rows = round(self.story.n_rows_a_day * share * self.randomly.uniform(0.85, 1.15))
        moments = sorted(self.randomly.uniform(0, 3_599) for _ in range(n_rows))
        day = (hour - self.start) / DAY
        while moments:
            n = min(self.randomly.randint(1, MAX_ROWS_A_REQUEST), len(moments))
            yield (
                hour + timedelta(seconds=moments[0]),
                [self._row(day) for _ in range(n)],
            )
            del moments[:n]

    def _row(self, day: float) -> Row:
        if not self.rows:
            self._draw()
        row = self.rows.popleft()
        for change in self.story.changes:
            row = change.of(row, day, self.randomly)
        return row

    def _draw(self) -> None:
        """Draw rows for two weeks, none of which is one of training or was asked before."""
        model = self.story.model
        count, seed = round(self.story.n_rows_a_day * N_DAYS), SEED + self.n_drawn
        drawn = simulate.simulate(tables.TABLES[model], figures.read(tables.figures_path(model)), count, seed)
        self.rows.extend(csv.DictReader(io.StringIO(drawn.to_csv(index=False))))
        self.n_drawn += 1

    def expect_labels(self, rows: Sequence[Row], prediction_ids: Sequence[str], at: datetime) -> None:
        """Have the truth about some of these rows come later."""
        for row, prediction_id in zip(rows, prediction_ids, strict=True):
            if self.randomly.random() < self.story.coverage:
                delay = self.randomly.expovariate(1 / self.story.delay_days) * DAY
                self.labels.append((at + delay, prediction_id, row[self.target]))

    def due_labels(self, until: datetime) -> list[Given]:
        """Return the labels that have come by now, once."""
        due = [one for one in self.labels if one[0] < until]
        self.labels = [one for one in self.labels if one[0] >= until]
        return [Given(prediction_id, label, "#") for _, prediction_id, label in due]


class Demo:
    """Fills the database behind ``operations``, which nobody else should write to meanwhile."""

    def __init__(self, operations: Operations, stories: Sequence[Story] = STORIES) -> None:
        services = operations.services
        self._operations = operations
        self._stories = stories
        self._answers = StoredAnswers(services.predictions)
        self._serving = Serving(
            services.specs,
            services.registry.load,
            services.history.champions,
            self._answers,
            max_rows=services.settings.max_rows,
        )

    def run(self, on_step: OnStep) -> list[Traffic]:
        """Train the models, live through the two weeks until now, and return what is still to come."""
        until = hour_of(now())
        self.train(until, on_step)
        return self.fill(until, on_step)

    def train(self, until: datetime, on_step: OnStep) -> None:
        """Train the first version of each model, as if shortly before the two weeks that end at ``until``."""
        for number, story in enumerate(self._stories):
            on_step(f"training {story.model}", number, len(self._stories))
            with set_to(until - N_DAYS * DAY - (len(self._stories) - number) * HOUR):
                self._operations.retrainer.run(Order(story.model, promote="always", by=BY))

    def fill(self, until: datetime, on_step: OnStep) -> list[Traffic]:
        """Live through the two weeks that end at ``until``, the start of an hour."""
        n_hours = N_DAYS * HOURS_A_DAY
        traffic = [Traffic(story, until - n_hours * HOUR) for story in self._stories]
        for number in range(n_hours):
            on_step("living through two weeks", number, n_hours)
            hour = until - (n_hours - number) * HOUR
            for one in traffic:
                self._live(one, hour)
            self._watch(number + 1, hour + HOUR)
        return traffic

    def _watch(self, n_hours: int, at: datetime) -> None:
        """Check and measure what is due after so many hours; a quiet week is measured once, as a whole."""
        quiet_h = QUIET_DAYS * HOURS_A_DAY
        if n_hours % (QUIETLY_EVERY_H if n_hours <= quiet_h else CHECK_EVERY_H) == 0:
            self._check_drift(at)
        if n_hours == quiet_h:
            self._measure(at, QUIET_DAYS * DAY)
        elif n_hours > quiet_h and n_hours % MEASURE_EVERY_H == 0:
            self._measure(at, MEASURE_EVERY_H * HOUR)

    def _live(self, traffic: Traffic, hour: datetime) -> None:
        """Ask and label a model for an hour; retrain it where that is due."""
        with set_to(hour):
            self._serving.refresh()
        for moment, rows in traffic.requests(hour):
            self.ask(traffic, moment, rows)
        self.store()
        with set_to(hour + HOUR):
            self._operations.services.rejections.store()
            self.label(traffic)
            if traffic.story.retrained_on == (hour - traffic.start) / DAY:
                self._retrain(traffic)

    def store(self) -> None:
        """Store what was asked since the last time."""
        self._answers.store()

    def label(self, traffic: Traffic) -> None:
        """Send the labels that are due."""
        if labels := traffic.due_labels(now()):
            self._operations.labelling.put(labels)

    def _retrain(self, traffic: Traffic) -> None:
        """Learn what came since the change, and have a person decide where the gate cannot tell."""
        model, changes = traffic.story.model, traffic.story.changes
        since = traffic.start + changes[0].start * DAY if changes else None
        outcome = self._operations.retrainer.run(Order(model, by=BY, since=since))
        if not outcome["is_promoted"]:
            registry, version = self._operations.services.registry, str(outcome["version"])
            registry.promote(model, version, reason=REASON, by=BY)

    def ask(self, traffic: Traffic, moment: datetime, rows: Sequence[Row]) -> None:
        """Ask a model some rows as if it were ``moment``."""
        with set_to(moment):
            served = self._serving.champion(traffic.story.model)
            try:
                batch = served.schema.from_csv(self.body(traffic, rows))
            except InvalidRowsError as error:
                self._operations.services.rejections.note(traffic.story.model, error.faults)
                return
            answered = self._serving.predict(served, batch, f"demo-{now():%Y%m%dT%H%M%S%f}")
            traffic.expect_labels(rows, [one.prediction_id for one in answered.answers], now())

    def body(self, traffic: Traffic, rows: Sequence[Row]) -> bytes:
        """Return rows as a client sends them: without the truth, and now and then with a wrong cell."""
        if traffic.randomly.random() < BAD_SHARE:
            second = list(self._operations.services.specs[traffic.story.model].features)[1]
            rows = [rows[0] | {second: "n/a?"}, *rows[1:]]
        return _as_csv(rows, traffic.target)

    def _check_drift(self, due_at: datetime) -> None:
        """Check as the clock would have at ``due_at``."""
        with set_to(due_at):
            for spec in self._specs:
                self._operations.monitor.scheduled(spec, due_at)

    def _measure(self, due_at: datetime, length: timedelta) -> None:
        """Measure quality as the clock would have at ``due_at``."""
        with set_to(due_at):
            self._operations.quality.scheduled(self._specs, due_at - length, due_at)

    @property
    def _specs(self) -> list[Spec]:
        return [self._operations.services.specs[story.model] for story in self._stories]


def _as_csv(rows: Sequence[Row], target: str) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, [name for name in rows[0] if name != target], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
