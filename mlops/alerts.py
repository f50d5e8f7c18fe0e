"""When people are told: an alert a model and check, opened once, reminded at most daily, resolved once.

The state lives in MongoDB, where each change is won by one caller only; so a restart repeats nothing and two
clocks tell nobody twice.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

from mlops.channels import AlertMessage, Notifier
from model.monitoring.results import DriftResult, FeatureDrift
from utils.mongo.alerts import AlertStore
from utils.mongo.connection import Document

# Less than a day, so that a check a little early still reminds and reminders do not creep through the day.
REMIND_EVERY = timedelta(hours=23)


class Alarms:
    """Turns what a check found into alerts, and tells people about changes."""

    def __init__(self, store: AlertStore, notifier: Notifier) -> None:
        self._store = store
        self._notifier = notifier

    def drift(self, model: str, version: str, result: DriftResult, at: datetime) -> None:
        """Open an alert for each drifted feature and check, and resolve those that are well again."""
        checks = [*result.features, *result.quality]
        for check in checks:
            key = f"drift/{check.check}/{check.feature}"
            if check.is_drift:
                self._open(model, version, key, check, at)
            elif check.verdict == "ok":
                self._resolve(model, version, key, at)

    def _open(self, model: str, version: str, key: str, check: FeatureDrift, at: datetime) -> None:
        content = {
            "check": "drift",
            "version": version,
            "sentence": check.sentence,
            "found": check.to_document(),
        }
        alert, is_new = self._store.open_or_touch(model, key, content, at)
        if is_new:
            self._notifier.notify(_message(alert, "opened"))
        elif self._store.claim_reminder(alert["id"], at, REMIND_EVERY):
            self._notifier.notify(_message(alert, "reminder"))

    def _resolve(self, model: str, version: str, key: str, at: datetime) -> None:
        alert = self._store.resolve(model, key, at)
        if alert is not None:
            self._notifier.notify(_message({**alert, "version": version}, "resolved"))


def _message(alert: Document, state: Literal["opened", "reminder", "resolved"]) -> AlertMessage:
    found = alert["found"]
    subject = f"Drift of {found['feature']} in {alert['model']}: {state}"
    return AlertMessage(
        model=alert["model"],
        version=alert["version"],
        check=alert["key"],
        state=state,
        subject=subject,
        text="\n".join(_lines(alert, found)),
        details={"since": alert["opened_at"].isoformat(), **found},
    )


def _lines(alert: Document, found: dict[str, Any]) -> Iterable[str]:
    yield found["sentence"]
    if found["statistic"] is not None and found["threshold"] is not None:
        yield f"{found['statistic_name']} {found['statistic']:.3g}, threshold {found['threshold']:.3g} " + (
            "on the p-value" if found["threshold_on"] == "p_value" else "on the statistic"
        )
    since = f"{alert['opened_at']:%Y-%m-%d %H:%M} UTC"
    yield f"Since {since}, over {found['n']} rows of version {alert['version']}."
    yield "Look at the feature on the dashboard; if the world changed, collect labels and retrain."
