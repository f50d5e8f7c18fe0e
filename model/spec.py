"""A model as its spec file describes it: one YAML file, checked when read, frozen afterwards.

Training returns the same spec *resolved*: ranges, categories and examples that the file left open are those
of the training rows. The resolved spec travels with the version and feeds validation, docs and drift alike.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

from utils.errors import NotFoundError, SpecError

Task = Literal["classification", "regression"]
Kind = Literal["number", "integer", "category", "boolean", "date"]
Reaction = Literal["warn", "refuse"]
Policy = Literal["margin", "holm", "benjamini_hochberg", "ks_pvalue"]
Reference = Literal["training", "first_weeks", "rolling", "window"]
Season = Literal["none", "day", "week"]
Cause = Literal["concept_drift", "quality", "data_drift"]
RowsFrom = Literal["all", "since_alarm"]
Label = bool | int | float | str
Share = Annotated[float, Meta(gt=0, lt=1)]

METRIC_NAMES: dict[str, tuple[str, ...]] = {
    "classification": ("accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "brier"),
    "regression": ("rmse", "mae", "r2", "mape", "r2_log"),
}

BUNDLED = Path(__file__).parent / "specs"


class Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How texts write the numbers of a column: what may stand before and after, and the marks between digits.

    See ``model.written``.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One input column.

    ``min`` and ``max`` are the plausible range (for dates in days since 1970-01-01 once resolved); values
    outside of it are answered with a warning or refused, as ``Spec.out_of_range`` says. A category without
    ``categories`` learns them in training; with an empty list any text is as good as another. ``pattern`` is
    a regular expression for a category whose whole text has a form, such as ``([\\d.]+) kmpl``: any text of
    that form is usual, another is odd (``Spec.unseen``), and its first group is the number that ``min`` and
    ``max`` are about. ``written`` says how texts write a number, such as "$1,234.50".
    """

    type: Kind
    min: float | None = None
    max: float | None = None
    categories: tuple[str, ...] | None = None
    pattern: str | None = None
    written: Written | None = None
    missing: bool = False
    format: str | None = None
    unit: str | None = None
    description: str = ""
    delta: Share | None = None
    example: Any = None

    @property
    def is_plain(self) -> bool:
        """Whether its texts are digits with a decimal mark and nothing else."""
        return self.type in ("number", "integer") and self.written is None


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is predicted. ``classes`` maps each label to the name that answers show.

    ``unknown`` are values that stand for "not known", such as a revenue of 0; rows with them have no label.
    """

    name: str
    classes: dict[Label, str] | tuple[Label, ...] | None = None
    positive: Label | None = None
    unit: str | None = None
    written: Written | None = None
    min: float | None = None
    max: float | None = None
    unknown: tuple[Label, ...] = ()
    description: str = ""


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where training rows come from: a CSV or Parquet file, relative to the spec file.

    ``missing_values`` are texts that stand for "not there", in files and requests alike.
    """

    train: str
    missing_values: tuple[str, ...] = ("", "NA", "NaN", "nan", "null")
    separator: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8-sig"


class Drift(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a change of the inputs or predictions is an alarm.

    ``delta`` is the share of requests that must sit elsewhere; ``output_delta`` the same for predicted values
    and probabilities, which move a little with every odd day of the inputs. ``reference`` is what inputs are
    compared with, ``season`` the cycle that is normal, ``learning_days`` the first days of a version in
    production that tell how much rows depend on each other (0: they do not). ``segments`` are categories
    whose values make parts of the rows that are watched apart. People are told once ``alert_after`` of the
    last ``alert_of`` checks found it.
    """

    policy: Policy = "margin"
    reference: Reference = "training"
    reference_days: Annotated[int, Meta(ge=1, le=365)] = 14
    reference_from: datetime | None = None
    reference_to: datetime | None = None
    season: Season = "none"
    learning_days: Annotated[int, Meta(ge=0, le=90)] = 7
    alpha: Share = 0.05
    delta: Share = 0.03
    output_delta: Share = 0.1
    p_value: Share = 0.045
    min_rows: Annotated[int, Meta(ge=1)] = 30
    window_hours: Annotated[int, Meta(ge=1, le=2160)] = 24
    segments: Annotated[tuple[str, ...], Meta(max_length=4)] = ()
    alert_after: Annotated[int, Meta(ge=1, le=48)] | None = None
    alert_of: Annotated[int, Meta(ge=1, le=48)] | None = None


class Slice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rows on which a challenger must not be worse: those with certain values of one feature.

    ``values`` are texts of a category (or 0 and 1 of a boolean); ``min`` and ``max`` are of a number, ends
    included. A gap is in no slice.
    """

    feature: str
    values: tuple[Label, ...] = ()
    min: float | None = None
    max: float | None = None


class Promotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a challenger takes over: see ``model.gate``.

    ``metric`` decides (the first of ``Spec.metrics`` where it is left out). The lower end of the interval of
    ``level`` for the challenger's gain on the same held-out rows must lie above ``-margin``, and the gain
    must be more than chance. On none of the ``slices`` may it be worse.
    """

    metric: str | None = None
    margin: Annotated[float, Meta(ge=0)] = 0.0
    level: Share = 0.9
    slices: dict[str, Slice] = {}


class Retrain(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a model is retrained by itself, and which rows it then learns from.

    ``on`` names the alarms that start a training, each of them one at most; there are never two within
    ``every_hours``, and none before ``min_labels`` predictions since the alarm's window have a label.
    ``rows`` is ``since_alarm`` for concept drift, as older rows say what is no longer so, else ``all``: the
    training file and the labelled predictions. Of those the last ``window_days`` count, of the file the share
    ``bundled_share``. ``tune`` pipelines are tried before one is fitted; with 0 it is the spec's.
    """

    on: tuple[Cause, ...] = ()
    every_hours: Annotated[int, Meta(ge=1, le=8760)] = 24
    min_labels: Annotated[int, Meta(ge=20)] = 200
    rows: RowsFrom | None = None
    window_days: Annotated[int, Meta(ge=1)] | None = None
    bundled_share: Annotated[float, Meta(ge=0, le=1)] = 1.0
    tune: Annotated[int, Meta(ge=0, le=1_000)] = 0


class Rollback(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a new champion is taken back by itself.

    For ``days`` after its promotion the champion before it scores the same labelled predictions; from
    ``min_labels`` of them on, the old one comes back when it is better by more than ``margin`` and chance.
    With 0 days nothing is taken back.
    """

    days: Annotated[int, Meta(ge=0, le=365)] = 14
    min_labels: Annotated[int, Meta(ge=30)] = 100
    margin: Annotated[float, Meta(ge=0)] = 0.0


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When the quality on labelled predictions is an alarm.

    ``metric`` is watched (that of the promotion where it is left out): below ``floor``, or below training by
    more than chance. Windows with fewer than ``min_labels`` labelled rows are no alarm. People are told once
    ``alert_after`` of the last ``alert_of`` checks found it.
    """

    metric: str | None = None
    floor: float | None = None
    min_labels: Annotated[int, Meta(ge=10)] = 50
    window_hours: Annotated[int, Meta(ge=1, le=2160)] = 24
    alert_after: Annotated[int, Meta(ge=1, le=48)] | None = None
    alert_of: Annotated[int, Meta(ge=1, le=48)] | None = None


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One model.

    ``intervals`` is how often the truth is to lie in the interval (regression) or the set of classes that
    comes with each answer; see ``model.conformal``. ``novelty`` is the share of usual rows that may be
    flagged as unlike any of training; see ``model.novelty``. Without them, answers do without.
    """

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
    task: Task
    target: Target
    data: Data
    features: Annotated[dict[str, Feature], Meta(min_length=1)]
    description: str = ""
    pipeline: str = "model.preprocessing:default_pipeline"
    parameters: dict[str, Any] = {}
    intervals: Share | None = None
    novelty: Share | None = None
    metrics: tuple[str, ...] = ()
    drift: Drift = Drift()
    promotion: Promotion = Promotion()
    quality: Quality = Quality()
    retrain: Retrain = Retrain()
    rollback: Rollback = Rollback()
    id: str | None = None
    subject: str | None = None
    ignored: tuple[str, ...] = ()
    strict: bool = False
    out_of_range: Reaction = "warn"
    unseen: Reaction = "warn"
    aliases: tuple[str, ...] = ()
    retrain_aliases: tuple[str, ...] = ()
    run_pipeline_aliases: tuple[str, ...] = ()

    @property
    def all_aliases(self) -> tuple[str, ...]:
        """Routes of the service that are this model's alone."""
        return (*self.aliases, *self.retrain_aliases, *self.run_pipeline_aliases)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the features that reach the pipeline as float64, in spec order."""
        return tuple(name for name, feature in self.features.items() if feature.type != "category")

    @property
    def texts(self) -> tuple[str, ...]:
        """Names of the features that reach the pipeline as text, in spec order."""
        return tuple(name for name, feature in self.features.items() if feature.type == "category")

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes' labels, in the order of the probabilities; empty for regression."""
        return tuple(self.target.classes or ())

    @property
    def class_names(self) -> tuple[str, ...]:
        """What answers call the classes, in the order of ``labels``."""
        classes = self.target.classes or ()
        return tuple(classes.values()) if isinstance(classes, dict) else tuple(str(c) for c in classes)

    @property
    def positive_index(self) -> int | None:
        """Position of the positive class, or None where there are not exactly two classes."""
        if len(self.labels) != 2:
            return None
        return 1 if self.target.positive is None else self.labels.index(self.target.positive)


def load(path: Path) -> Spec:
    """Read and check one spec file.

    Raises
    ------
    SpecError
        If the file cannot be read or is not a spec; the message has file, line and what would be right.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read ({error}).") from None
    return loads(text, str(path))


def loads(text: str, origin: str = "spec") -> Spec:
    """Read a spec from YAML text; errors begin with ``origin``. Raises SpecError as ``load`` does."""
    try:
        return _converted(_plain(text))
    except RecursionError:
        raise SpecError(f"{origin}: nested too deeply.") from None
    except msgspec.ValidationError as error:
        raise SpecError(_placed(origin, text, str(error))) from None
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"{origin}: not YAML. {' '.join(str(error).split())}") from None


def dumps(spec: Spec) -> str:
    """Return the spec as YAML text that ``loads`` reads back to an equal spec."""
    return yaml.safe_dump(msgspec.to_builtins(spec), sort_keys=False, allow_unicode=True, width=1_000)


def _converted(raw: object) -> Spec:
    features = raw.get("features") if isinstance(raw, dict) else None
    for name, feature in (features if isinstance(features, dict) else {}).items():
        try:
            msgspec.convert(feature, Feature)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$")
            raise msgspec.ValidationError(f"{what} - at `$.features.{name}{where.rstrip('`')}`") from None
    spec = msgspec.convert(raw, Spec)
    _check(spec)
    return spec


def _plain(text: str) -> object:
    """Parse plain YAML: a handful of nested aliases can stand for gigabytes, and tags for other types."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise yaml.YAMLError(f"aliases (*{event.anchor}) are not allowed, line {line}")
        tag = getattr(event, "tag", None)
        if tag:
            raise yaml.YAMLError(f"tags ({str(tag)[:60]}) are not allowed")
    return _with_on(yaml.safe_load(text))


def _with_on(raw: object) -> object:
    """Return the content with ``retrain.on`` as it was meant: to YAML 1.1, the key ``on`` is true."""
    rule = raw.get("retrain") if isinstance(raw, dict) else None
    if isinstance(raw, dict) and isinstance(rule, dict):
        raw["retrain"] = {"on" if key is True else key: value for key, value in rule.items()}
    return raw


def _placed(origin: str, text: str, message: str) -> str:
    what, _, where = message.partition(" - at `")
    place = where.rstrip("`").removeprefix("$").removeprefix(".")
    line = _line_of(yaml.compose(text, Loader=yaml.SafeLoader), place)
    return f"{origin}, line {line}{f' ({place})' if place else ''}: {what}."


def _line_of(node: yaml.Node | None, place: str) -> int:
    """Walk a path such as ``features.tempo.min`` as far as keys match; the line of the last node reached."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if place == key.value or place.startswith((f"{key.value}.", f"{key.value}[")):
                rest = place[len(key.value) :].removeprefix(".")
                return _line_of(value, rest) if rest else key.start_mark.line + 1
    return node.start_mark.line + 1 if node else 1


def _check(spec: Spec) -> None:
    """Raise for what types alone cannot say."""
    for problem in _problems(spec):
        raise msgspec.ValidationError(problem)


def _problems(spec: Spec) -> Iterable[str]:
    if spec.target.name in spec.features:
        yield f"the target {spec.target.name!r} cannot be a feature - at `$.features`"
    if spec.task == "regression" and spec.target.classes:
        yield "a regression has no classes - at `$.target.classes`"
    if spec.task == "classification" and spec.target.written:
        yield "only numbers are written in a way - at `$.target.written`"
    yield from _written_problems(spec.target.written, "target")
    if spec.target.positive is not None and spec.target.positive not in spec.labels:
        yield f"positive is {spec.target.positive!r}, not one of the classes - at `$.target.positive`"
    for place, metric in (("promotion", spec.promotion.metric), ("quality", spec.quality.metric)):
        if metric is not None and metric not in METRIC_NAMES[spec.task]:
            known = ", ".join(METRIC_NAMES[spec.task])
            yield f"{metric!r} is none of the metrics {known} - at `$.{place}.metric`"
    for alias in spec.all_aliases:
        if not alias.startswith("/"):
            yield f"alias {alias!r} must start with / - at `$.aliases`"
    yield from _drift_problems(spec.drift)
    yield from _alert_problems("drift", spec.drift)
    yield from _alert_problems("quality", spec.quality)
    for name, one in spec.promotion.slices.items():
        yield from _slice_problems(spec, name, one)
    for name, feature in spec.features.items():
        yield from _feature_problems(name, feature)
    for name in spec.drift.segments:
        yield from _segment_problems(spec, name)


def _segment_problems(spec: Spec, name: str) -> Iterable[str]:
    place = " - at `$.drift.segments`"
    if name not in spec.features:
        yield f"{name!r} is none of the features{place}"
    elif spec.features[name].type not in ("category", "boolean"):
        yield f"{name!r} is a {spec.features[name].type}; categories and booleans make segments{place}"


def _alert_problems(place: str, section: Drift | Quality) -> Iterable[str]:
    after, of = section.alert_after, section.alert_of
    if (after is None) != (of is None):
        yield f"say both, alert_after and alert_of - at `$.{place}.alert_after`"
    if after and of and after > of:
        yield f"it cannot be more than alert_of - at `$.{place}.alert_after`"


def _drift_problems(drift: Drift) -> Iterable[str]:
    start, end = drift.reference_from, drift.reference_to
    if drift.reference == "window" and (start is None or end is None):
        yield "a window needs reference_from and reference_to - at `$.drift.reference`"
    for name, moment in (("reference_from", start), ("reference_to", end)):
        if moment is not None and moment.tzinfo is None:
            yield f"say the zone, as in 2026-01-31T00:00:00Z - at `$.drift.{name}`"
    if start and end and start.tzinfo and end.tzinfo and start >= end:
        yield "it must be before reference_to - at `$.drift.reference_from`"


def _slice_problems(spec: Spec, name: str, one: Slice) -> Iterable[str]:
    place = f" - at `$.promotion.slices.{name}`"
    feature = spec.features.get(one.feature)
    if feature is None:
        yield f"{one.feature!r} is none of the features{place}"
        return
    is_ranged = one.min is not None or one.max is not None
    if is_ranged == bool(one.values):
        yield f"a slice has either values or a range (min, max){place}"
    elif is_ranged and feature.type == "category":
        yield f"{one.feature!r} is a category: name its values{place}"
    elif one.values and feature.type not in ("category", "boolean"):
        yield f"{one.feature!r} is a {feature.type}: say its range (min, max){place}"


def _feature_problems(name: str, feature: Feature) -> Iterable[str]:
    place = f" - at `$.features.{name}`"
    is_ranged = feature.min is not None or feature.max is not None
    if feature.type == "category" and is_ranged and not _has_number(feature):
        yield f"{name!r} is a category and has no range, unless the pattern has a group{place}"
    if feature.pattern is not None:
        yield from _pattern_problems(name, feature, place)
    if feature.type not in ("number", "integer") and feature.written is not None:
        yield f"{name!r} is a {feature.type}; only numbers are written in a way{place}"
    yield from _written_problems(feature.written, f"features.{name}")
    if feature.type != "category" and feature.categories is not None:
        yield f"{name!r} is a {feature.type} and has no categories{place}"
    if feature.min is not None and feature.max is not None and feature.min > feature.max:
        yield f"{name!r} has min {feature.min:g} above max {feature.max:g}{place}"


def _written_problems(written: Written | None, place: str) -> Iterable[str]:
    if written is not None and written.decimal == written.thousands:
        yield f"decimal and thousands are the same mark - at `$.{place}.written`"


def _pattern_problems(name: str, feature: Feature, place: str) -> Iterable[str]:
    if feature.type != "category":
        yield f"{name!r} is a {feature.type} and has no pattern{place}"
    if feature.categories is not None:
        yield f"{name!r} has both categories and a pattern{place}"
    try:
        re.compile(feature.pattern or "")
    except re.error as error:
        yield f"the pattern of {name!r} is no regular expression: {error}{place}"


def _has_number(feature: Feature) -> bool:
    try:
        return feature.pattern is not None and re.compile(feature.pattern).groups > 0
    except re.error:
        return True  # told as a problem of its own


def load_all(folders: Iterable[Path]) -> dict[str, tuple[Spec, Path]]:
    """Read every ``*.yaml`` of the folders; returns name to (spec, file). A later folder wins.

    Raises
    ------
    SpecError
        If a folder is missing, a file is wrong, one folder names a model twice, or two models have an alias.
    """
    found: dict[str, tuple[Spec, Path]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise SpecError(f"{folder}: no such folder of specs.")
        here: dict[str, tuple[Spec, Path]] = {}
        for path in sorted(folder.glob("*.yaml")):
            spec = load(path)
            if spec.name in here:
                raise SpecError(f"{path}: {here[spec.name][1].name} already names a model {spec.name!r}.")
            here[spec.name] = (spec, path)
        found |= here
    _check_aliases(found)
    return found


def _check_aliases(found: Mapping[str, tuple[Spec, Path]]) -> None:
    """A route can belong to one model only."""
    owners: dict[str, str] = {}
    for name, (spec, path) in found.items():
        for alias in spec.all_aliases:
            if owners.setdefault(alias, name) != name:
                raise SpecError(
                    f"{path}: the alias {alias!r} is already that of the model {owners[alias]!r}."
                )


def find(name: str, folders: Iterable[Path]) -> tuple[Spec, Path]:
    """Return one model's spec and its file.

    Raises
    ------
    NotFoundError
        If no folder has it; the message lists the names there are.
    """
    specs = load_all(folders)
    if name not in specs:
        raise NotFoundError(f"No model is called {name!r}. There are: {', '.join(sorted(specs)) or 'none'}.")
    return specs[name]
