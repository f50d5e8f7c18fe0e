"""Numbers to shapes: coordinates that templates draw as SVG. Knows neither Flask nor HTML.

Every chart is WIDTH by HEIGHT units; its labels are beside it, so that it may be stretched.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

WIDTH, HEIGHT = 600.0, 160.0
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Bar:
    """A rectangle with a title for those who hover or listen."""

    x: float
    y: float
    width: float
    height: float
    title: str
    look: str = "now"


@dataclass(frozen=True)
class Line:
    """A path, drawn as ``look`` says: ``now``, ``before``, ``estimated``, ``limit``, ``band``."""

    path: str
    look: str


@dataclass(frozen=True)
class Dot:
    """A point with a title."""

    x: float
    y: float
    title: str
    look: str = "now"


@dataclass(frozen=True)
class Mark:
    """Something that happened, as a line across: ``version`` or ``alert``."""

    x: float
    look: str
    at: datetime
    title: str


@dataclass(frozen=True)
class Chart:
    """What is drawn, and the values at the ends of its axes."""

    bars: Sequence[Bar] = ()
    lines: Sequence[Line] = ()
    dots: Sequence[Dot] = ()
    marks: Sequence[Mark] = ()
    low: float = 0.0
    high: float = 1.0
    first: Any = None
    last: Any = None
    keys: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Axis:
    """A stretch of time that is WIDTH wide."""

    start: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        """Return where a moment is."""
        share = (at - self.start) / max(self.end - self.start, timedelta(milliseconds=1))
        return round(WIDTH * share, 2)

    def has(self, at: datetime) -> bool:
        """Tell whether a moment is shown."""
        return self.start <= at <= self.end

    def marks(self, events: Iterable[tuple[datetime, str, str]]) -> list[Mark]:
        """Return the marks of events (moment, look, title) that are shown."""
        return [Mark(self.x(at), look, at, title) for at, look, title in events if self.has(at)]


def traffic(
    hours: Sequence[Mapping[str, Any]],
    start: datetime,
    n_hours: int,
    title: Callable[[datetime, int], str],
    events: Iterable[tuple[datetime, str, str]] = (),
) -> Chart:
    """Return one bar an hour; hours without rows have no height."""
    totals: dict[datetime, int] = {}
    for hour in hours:
        totals[hour["hour"]] = totals.get(hour["hour"], 0) + hour["n_rows"]
    axis = Axis(start, start + n_hours * HOUR)
    highest, step = max([*totals.values(), 1]), WIDTH / n_hours
    bars = [
        _bar(axis.x(at), step, n / highest, title(at, n)) for at, n in sorted(totals.items()) if axis.has(at)
    ]
    return Chart(bars, marks=axis.marks(events), high=highest, first=axis.start, last=axis.end)


def _bar(x: float, step: float, share: float, title: str, look: str = "now") -> Bar:
    height = round(HEIGHT * share, 2)
    return Bar(round(x, 2), round(HEIGHT - height, 2), round(step * 0.84, 2), height, title, look)


def bins(shape: Mapping[str, Any], names: Sequence[str], title: Callable[[str, float], str]) -> Chart | None:
    """Return two distributions over the same bins: bars of the window, an outline of the reference.

    None where the reference has no values.
    """
    before, after = shape["reference"], shape["current"]
    if before is None:
        return None
    after = after or [0.0] * len(before)
    highest, step = max([*before, *after, 1e-9]), WIDTH / max(len(before), 1)
    bars = [
        _bar(i * step + step * 0.08, step, share / highest, title(name, share))
        for i, (share, name) in enumerate(zip(after, names, strict=True))
    ]
    outline = [(i * step, share / highest) for i, share in enumerate(before)]
    return Chart(bars, [Line(_steps(outline, WIDTH), "before")], high=highest)


def curves(points: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Return two cumulative distributions as steps; None without points."""
    if len(points) < 2:
        return None
    low, high = points[0]["value"], points[-1]["value"]
    width = max(high - low, 1e-12)
    lines = []
    for name, look in (("before", "before"), ("after", "now")):
        found = [((p["value"] - low) / width * WIDTH, p[name]) for p in points if p[name] is not None]
        if found:
            lines.append(Line(_steps(found, WIDTH), look))
    return Chart(lines=lines, first=low, last=high)


def _steps(points: Sequence[tuple[float, float]], end: float) -> str:
    parts = [f"M{points[0][0]:.1f} {HEIGHT:.1f}"]
    for x, share in points:
        parts.append(f"H{x:.1f}V{HEIGHT * (1 - share):.1f}")
    return "".join([*parts, f"H{end:.1f}"])


def series(
    axis: Axis,
    points: Sequence[Mapping[str, Any]],
    title: Callable[[Mapping[str, Any]], str],
    *,
    limit: float | None = None,
    events: Iterable[tuple[datetime, str, str]] = (),
) -> Chart | None:
    """Return a value over time with its interval, and what was expected of it; None without values.

    A point has ``at``, ``value``, ``low``, ``high`` and ``expected``, all but ``at`` None where not known.
    """
    names = ("value", "low", "high", "expected")
    known = [p[name] for p in points for name in names if p[name] is not None]
    if not known:
        return None
    low, high = _padded(min([*known, limit or known[0]]), max([*known, limit or known[0]]))

    def y(value: float) -> float:
        return round(HEIGHT * (1 - (value - low) / (high - low)), 2)

    lines = [*_band(axis, points, y), *_lines(axis, points, y)]
    if limit is not None:
        lines.append(Line(f"M0 {y(limit)}H{WIDTH}", "limit"))
    dots = [Dot(axis.x(p["at"]), y(p["value"]), title(p)) for p in points if p["value"] is not None]
    return Chart((), lines, dots, axis.marks(events), low, high, axis.start, axis.end)


def _padded(low: float, high: float) -> tuple[float, float]:
    room = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def _band(axis: Axis, points: Sequence[Mapping[str, Any]], y: Callable[[float], float]) -> list[Line]:
    there = [p for p in points if p["low"] is not None and p["high"] is not None]
    if len(there) < 2:
        return []
    up = [f"{axis.x(p['at'])} {y(p['high'])}" for p in there]
    down = [f"{axis.x(p['at'])} {y(p['low'])}" for p in reversed(there)]
    return [Line("M" + "L".join([*up, *down]) + "Z", "band")]


def _lines(axis: Axis, points: Sequence[Mapping[str, Any]], y: Callable[[float], float]) -> list[Line]:
    found = []
    for name, look in (("expected", "estimated"), ("value", "now")):
        there = [f"{axis.x(p['at'])} {y(p[name])}" for p in points if p[name] is not None]
        if len(there) > 1:
            found.append(Line("M" + "L".join(there), look))
    return found


def calibration(groups: Sequence[Mapping[str, float]], title: Callable[[Mapping[str, float]], str]) -> Chart:
    """Return how often the positive class came beside the probability that was said."""
    dots = [
        Dot(round(WIDTH * g["probability"], 2), round(HEIGHT * (1 - g["share"]), 2), title(g)) for g in groups
    ]
    path = "M" + "L".join(f"{dot.x} {dot.y}" for dot in dots)
    return Chart(
        lines=[Line(f"M0 {HEIGHT}L{WIDTH} 0", "estimated"), Line(path, "now")], dots=dots, first=0, last=1
    )


def tradeoff(points: Sequence[tuple[float, float | None, float | None]], chosen: float) -> Chart:
    """Return precision and recall (second, third) over the threshold (first), all from 0 to 1."""
    lines = []
    for place, look in ((1, "now"), (2, "before")):
        there = [
            f"{WIDTH * p[0]:.1f} {HEIGHT * (1 - value):.1f}"
            for p in points
            if (value := p[place]) is not None
        ]
        if len(there) > 1:
            lines.append(Line("M" + "L".join(there), look))
    return Chart(lines=[*lines, Line(f"M{WIDTH * chosen:.1f} 0V{HEIGHT}", "chosen")])


def histogram(counts: Sequence[int], titles: Sequence[str]) -> Chart:
    """Return one bar a count, side by side."""
    highest, step = max([*counts, 1]), WIDTH / max(len(counts), 1)
    bars = [
        _bar(i * step, step, n / highest, title)
        for i, (n, title) in enumerate(zip(counts, titles, strict=True))
    ]
    return Chart(bars, high=highest)


def spread(
    groups: Sequence[Mapping[str, float]], title: Callable[[Mapping[str, float]], str]
) -> Chart | None:
    """Return how values lie group by group: their middle as line, ``low`` to ``high`` as band, and zero."""
    if len(groups) < 2:
        return None
    low, high = _padded(min(0.0, *(g["low"] for g in groups)), max(0.0, *(g["high"] for g in groups)))

    def y(value: float) -> float:
        return round(HEIGHT * (1 - (value - low) / (high - low)), 1)

    places = [(round(WIDTH * i / (len(groups) - 1), 1), group) for i, group in enumerate(groups)]
    up, middle, down = (
        [f"{x} {y(group[name])}" for x, group in places] for name in ("high", "middle", "low")
    )
    lines = [Line("M" + "L".join([*up, *reversed(down)]) + "Z", "band"), Line("M" + "L".join(middle), "now")]
    dots = [Dot(x, y(group["middle"]), title(group)) for x, group in places]
    lines.append(Line(f"M0 {y(0.0)}H{WIDTH}", "limit"))
    return Chart((), lines, dots, (), low, high, groups[0]["answer"], groups[-1]["answer"])


def heat(effect: float | None) -> str:
    """Return the shade of an effect: ``none`` without rows, else 0 to 6.

    >>> heat(None), heat(0.004), heat(0.2), heat(0.9)
    ('none', '0', '4', '6')
    """
    if effect is None:
        return "none"
    return str(sum(effect >= least for least in (0.03, 0.06, 0.1, 0.15, 0.25, 0.4)))
