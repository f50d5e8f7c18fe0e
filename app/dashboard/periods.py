"""The stretch of time that a page shows, read from its address and written into links."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mlops.days import HOUR
from mlops.windows import Window

LENGTHS = {"1h": 1, "6h": 6, "24h": 24, "3d": 72, "7d": 168, "14d": 336, "30d": 720, "90d": 2_160}
DEFAULT = "24h"
MAX_HOURS = 2_160
YEARS = (2000, 2200)  # so that no sum leaves the calendar


@dataclass(frozen=True)
class Period:
    """A window, how it was chosen (``length`` is empty for one by hand), and whether that was wrong."""

    window: Window
    length: str
    is_wrong: bool = False


def period(arguments: Mapping[str, str], at: datetime, default: str = DEFAULT) -> Period:
    """Read ``window`` (such as 7d) and ``end``, or ``from`` and ``to``; unreadable ones are the default."""
    first, last = instant(arguments.get("from")), instant(arguments.get("to"))
    if first is not None or last is not None:
        return _by_hand(first, last, at, default)
    length = arguments.get("window", default)
    is_wrong = length not in LENGTHS
    end = _ceiling(instant(arguments.get("end")) or at)
    length = default if is_wrong else length
    return Period(Window(end - LENGTHS[length] * HOUR, end), length, is_wrong)


def _by_hand(first: datetime | None, last: datetime | None, at: datetime, default: str) -> Period:
    end = _ceiling(last or at)
    start = _ceiling(first) if first is not None else end - LENGTHS[default] * HOUR
    if not timedelta() < end - start <= MAX_HOURS * HOUR:
        now_end = _ceiling(at)
        return Period(Window(now_end - LENGTHS[default] * HOUR, now_end), default, True)
    return Period(Window(start, end), "")


def against(arguments: Mapping[str, str], window: Window) -> Window | None:
    """Read what to compare with: ``against`` is training, previous, or a window by hand; None is training."""
    if arguments.get("against") == "previous":
        return window.before()
    if arguments.get("against") != "window":
        return None
    first, last = instant(arguments.get("against_from")), instant(arguments.get("against_to"))
    if first is None or last is None or not timedelta() < last - first <= MAX_HOURS * HOUR:
        return None
    return Window(_ceiling(first), _ceiling(last))


def instant(text: str | None) -> datetime | None:
    """Read an instant, UTC where it says no zone; None if it is none."""
    try:
        found = datetime.fromisoformat((text or "").replace(" ", "+"))
    except ValueError:
        return None
    if not YEARS[0] <= found.year < YEARS[1]:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def _ceiling(moment: datetime) -> datetime:
    """Return the end of the hour that a moment is in; the moment itself where an hour begins."""
    floor = moment.replace(minute=0, second=0, microsecond=0)
    return floor if floor == moment else floor + HOUR
