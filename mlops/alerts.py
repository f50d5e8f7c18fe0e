"""When people are told: an alert a model and check, opened once, reminded at most daily, resolved once.

The state lives in MongoDB, where each change is won by one caller only; so a restart repeats nothing and two
clocks tell nobody twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from mlops.channels import AlertMessage, Notifier
from model.monitoring.results import DriftResult, FeatureDrift
from utils.mongo.alerts import AlertStore
from utils.mongo.connection import Document

# Less than a day, so that a check a little early still reminds and reminders do not creep through the day.
REMIND_EVERY = timedelta(hours=23)
# What goes and comes back with each other check is one alert, not twelve a day.
WELL_IN_A_ROW = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says about one thing.

    ``key`` names check and thing without anything that changes from check to check; ``is_wrong`` is None
    where the check cannot tell, which changes nothing. ``text`` says how much, over which rows, and
    what to do.
    """

    key: str
    check: str
    subject: str
    sentence: str
    text: tuple[str, ...]
    is_wrong: bool | None
    found: dict[str, Any]


class Alarms:
    """Turns what a check found into alerts, and tells people about changes."""

    def __init__(self, store: AlertStore, notifier: Notifier) -> None:
        self._store = store
        self._notifier = notifier

    def drift(self, model: str, version: str, result: DriftResult, at: datetime) -> None:
        """Open an alert for each drifted feature and check, and resolve those that are well again."""
        checks = [*result.features, *result.quality]
        self.tell(model, version, [_of_drift(check, version) for check in checks], at)

    def tell(self, model: str, version: str, findings: Sequence[Finding], at: datetime) -> None:
        """Open an alert for each finding that is wrong, and resolve those that are well again."""
        for finding in findings:
            if finding.is_wrong:
                self._open(model, version, finding, at)
            elif finding.is_wrong is False:
                self._resolve(model, version, finding.key, at)

    def _open(self, model: str, version: str, finding: Finding, at: datetime) -> None:
        content = {
            "check": finding.check,
            "version": version,
            "subject": finding.subject,
            "sentence": finding.sentence,
            "text": list(finding.text),
            "found": finding.found,
        }
        alert, is_new = self._store.open_or_touch(model, finding.key, content, at)
        if is_new:
            self._notifier.notify(_message(alert, "opened"))
        elif self._store.claim_reminder(alert["id"], at, REMIND_EVERY):
            self._notifier.notify(_message(alert, "reminder"))

    def _resolve(self, model: str, version: str, key: str, at: datetime) -> None:
        alert = self._store.resolve(model, key, at, after=WELL_IN_A_ROW)
        if alert is not None:
            self._notifier.notify(_message({**alert, "version": version}, "resolved"))


def _message(alert: Document, state: Literal["opened", "reminder", "resolved"]) -> AlertMessage:
    found = alert["found"]
    # An alert that an earlier version of this program opened has no subject and text.
    subject = alert.get("subject") or f"Drift of {found.get('feature')}"
    since = f"Since {alert['opened_at']:%Y-%m-%d %H:%M} UTC."
    return AlertMessage(
        model=alert["model"],
        version=alert["version"],
        check=alert["key"],
        state=state,
        subject=f"{subject} in {alert['model']}: {state}",
        text="\n".join([alert["sentence"], *alert.get("text", ()), since]),
        details={"since": alert["opened_at"].isoformat(), **found},
    )


def _of_drift(check: FeatureDrift, version: str) -> Finding:
    return Finding(
        key=f"drift/{check.check}/{check.feature}",
        check="drift",
        subject=f"Drift of {check.feature}",
        sentence=check.sentence,
        text=tuple(_lines(check, version)),
        is_wrong=True if check.is_drift else (False if check.verdict == "ok" else None),
        found=check.to_document(),
    )


def _lines(check: FeatureDrift, version: str) -> Iterable[str]:
    if check.statistic is not None and check.threshold is not None:
        yield f"{check.statistic_name} {check.statistic:.3g}, threshold {check.threshold:.3g} " + (
            "on the p-value" if check.threshold_on == "p_value" else "on the statistic"
        )
    yield f"Over {check.n} rows of version {version}."
    yield "Look at the feature on the dashboard; if the world changed, collect labels and retrain."
