"""Keeps each answered request in the spool before the answer is sent."""

from collections.abc import Callable

from mlops.record import LoggedRequest, encode
from mlops.redaction import Redaction
from mlops.sealing import Sealing
from mlops.serving import Answered, Served
from model.answer import ClassAnswer
from model.schema import Batch
from utils.spool import Spool
from utils.time import now


class SpooledAnswers:
    """Appends to a spool that is opened later, after fork."""

    def __init__(
        self,
        spool: Callable[[], Spool],
        keep_pace: Callable[[], None],
        redaction: Redaction,
        sealing: Sealing,
    ) -> None:
        self._spool = spool
        self._redaction = redaction
        self._sealing = sealing
        self._keep_pace = keep_pace

    def add(self, served: Served, batch: Batch, answered: Answered, latency_ms: float) -> None:
        """Keep one answered request; returns when it would survive the end of this process.

        Raises SpoolFullError when it cannot be kept.
        """
        self._keep_pace()
        record = logged(served, batch, answered, latency_ms)
        record = self._redaction.apply(record, served.loaded.spec.subject)
        record = self._sealing.apply(record)
        self._spool().append(encode(record), len(batch))


def logged(served: Served, batch: Batch, answered: Answered, latency_ms: float) -> LoggedRequest:
    """Return one answered request as it is logged."""
    answers = answered.answers
    spec = served.loaded.spec
    return LoggedRequest(
        answered.request_id,
        answered.model,
        answered.version,
        now(),
        served.loaded.predictor.served_by,
        latency_ms,
        batch.names,
        batch.values,
        [answer.prediction_id for answer in answers],
        [answer.prediction for answer in answers],
        [a.probability if isinstance(a, ClassAnswer) else None for a in answers],
        [answer.warnings for answer in answers] if any(a.warnings for a in answers) else None,
        batch.subjects if spec.subject else None,
        {spec.id: batch.references} if spec.id else None,
    )
