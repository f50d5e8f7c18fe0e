"""When people are told: an alert a model and check, opened once, reminded at most daily, resolved once.

The state lives in MongoDB, where each change is won by one caller only; so a restart repeats nothing and two
clocks tell nobody twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
class Confirmation:
    """An alert opens once ``after`` of the last ``of`` checks found it."""

    after: int = 1
    of: int = 1


AT_ONCE = Confirmation()


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

    def drift(
        self,
        model: str,
        version: str,
        result: DriftResult,
        at: datetime,
        told: Sequence[Mapping[str, Any]],
        confirmation: Confirmation = AT_ONCE,
    ) -> None:
        """Open an alert for each drifted feature and check, and resolve those that are well again.

        ``told`` is what ``explaining.explained`` says about each alarm.
        """
        explanations = {(one["feature"], one["check"]): one for one in told}
        checks = [*result.features, *result.quality]
        findings = [
            _of_drift(check, version, explanations.get((check.feature, check.check), {})) for check in checks
        ]
        is_well = result.verdict == "ok"
        groups = [
            _of_group(key, subject, group, version, explanations, is_well)
            for key, subject, group in (
                ("drift/agreement", "Drift of pairs", result.pairs),
                ("drift/segments", "Drift of segments", result.segments),
            )
        ]
        self.tell(model, version, [*findings, *groups], at, confirmation)

    def _confirmed(self, model: str, finding: Finding, confirmation: Confirmation) -> bool | None:
        """Return a finding's verdict, None while it is wrong but not often enough."""
        if finding.is_wrong is None:
            return None
        recent = self._store.note(model, finding.key, finding.is_wrong, confirmation.of)
        if not finding.is_wrong or self._store.is_open(model, finding.key):
            return finding.is_wrong
        return True if sum(recent) >= confirmation.after else None

    def activity(self, model: str, version: str, found: Sequence[Mapping[str, Any]], at: datetime) -> None:
        """Open an alert where fewer rows come than usual, or none, and resolve it when they are back."""
        self.tell(model, version, [_of_activity(one) for one in found], at)

    def tell(
        self,
        model: str,
        version: str,
        findings: Sequence[Finding],
        at: datetime,
        confirmation: Confirmation = AT_ONCE,
    ) -> None:
        """Open an alert for each finding that is wrong often enough; resolve those that are well again."""
        if confirmation.of > 1:
            findings = [replace(one, is_wrong=self._confirmed(model, one, confirmation)) for one in findings]
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
        details={**found, "since": alert["opened_at"].isoformat()},
    )


def _of_drift(check: FeatureDrift, version: str, told: Mapping[str, Any]) -> Finding:
    return Finding(
        key=f"drift/{check.check}/{check.feature}",
        check="drift",
        subject=f"Drift of {check.feature}",
        sentence=check.sentence,
        text=tuple(_lines(check, version, told)),
        is_wrong=True if check.is_drift else (False if check.verdict == "ok" else None),
        found={**check.to_document(), **told},
    )


def _of_group(
    key: str,
    subject: str,
    checks: Sequence[FeatureDrift],
    version: str,
    explanations: Mapping[tuple[str, str], Mapping[str, Any]],
    is_well: bool,
) -> Finding:
    """One alert for all of a kind: a report names the few that changed most, so single ones come and go."""
    drifted = [check for check in checks if check.is_drift]
    if not drifted:
        return Finding(key, "drift", subject, "", (), False if checks and is_well else None, {})
    first = drifted[0]
    found = _of_drift(first, version, explanations.get((first.feature, first.check), {}))
    others = [check.sentence for check in drifted[1:]]
    return replace(found, key=key, subject=subject, text=(*others, *found.text))


def _of_activity(one: Mapping[str, Any]) -> Finding:
    verdicts = {"drift": True, "ok": False}
    return Finding(
        key=f"activity/{one['check']}",
        check="activity",
        subject={"volume": "Fewer rows than usual", "silence": "Silence"}[one["check"]],
        sentence=one["sentence"],
        text=("Look whether clients still reach the service.",),
        is_wrong=verdicts.get(one["verdict"]),
        found=dict(one),
    )


def _lines(check: FeatureDrift, version: str, told: Mapping[str, Any]) -> Iterable[str]:
    if check.statistic is not None and check.threshold is not None:
        yield f"{check.statistic_name} {check.statistic:.3g}, threshold {check.threshold:.3g} " + (
            "on the p-value" if check.threshold_on == "p_value" else "on the statistic"
        )
    yield f"Over {check.n} rows of version {version}."
    if told.get("since"):
        yield f"It seems to have begun at {told['since']:%Y-%m-%d %H:%M} UTC."
    if told.get("prediction"):
        yield f"Predictions meanwhile: {told['prediction']}."
    if told.get("segments"):
        names = [f"{one['segment']} (effect {one['effect']:.2g})" for one in told["segments"]]
        yield f"Most touched: {', '.join(names)}."
    if told.get("sample_ids"):
        yield f"Rows to look at: {', '.join(told['sample_ids'])}."
    yield told.get("advice") or "Look at the feature on the dashboard."
