"""A drafted spec as YAML that people read: one line a feature, and comments that say what was seen."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import yaml

from model.drafting.doubts import Doubt
from model.spec import Data, Feature, Spec, Target, loads
from utils.errors import SpecError

WIDE = 1_000_000
COMMENT_COLUMN = 24


def spec_text(spec: Spec, heading: str, notes: Mapping[str, str], doubts: Sequence[Doubt]) -> str:
    """Return the text of a spec file.

    Parameters
    ----------
    heading : str
        First line, without the ``#``.
    notes : mapping of str to str
        What was seen in a column, as a comment behind it.

    Raises
    ------
    SpecError
        If the text does not read back as this spec.
    """
    lines = [*_head(heading, doubts), *_settings(spec, notes), "features:"]
    lines += [
        _line(f"  {_key(name)} {_value(feature)}", notes.get(name, ""))
        for name, feature in spec.features.items()
    ]
    text = "\n".join(lines) + "\n"
    if loads(text) != spec:
        raise SpecError(f"{spec.name}: the drafted spec does not read back as it was meant.")
    return text


def _head(heading: str, doubts: Sequence[Doubt]) -> Iterable[str]:
    yield f"# {_plain(heading)}"
    if doubts:
        yield "#"
        yield "# Unsure of:"
    for number, doubt in enumerate(doubts, 1):
        yield f"#   {number}. {_plain(str(doubt))}"


def _settings(spec: Spec, notes: Mapping[str, str]) -> Iterable[str]:
    yield f"name: {_scalar(spec.name)}"
    yield f"description: {_scalar(spec.description)}"
    yield f"task: {spec.task}"
    yield _line(f"target: {_value(spec.target)}", notes.get(spec.target.name, ""))
    yield f"data: {_value(spec.data)}"
    yield _line(f"pipeline: {spec.pipeline}", "or module:function of a pipeline of your own")
    if spec.intervals is not None:
        what = "sets of classes" if spec.task == "classification" else "intervals"
        yield _line(f"intervals: {spec.intervals:g}", f"of the answers' {what} hold the truth")
    if spec.novelty is not None:
        yield _line(f"novelty: {spec.novelty:g}", "of usual rows may be flagged as unlike any of training")
    if spec.id is not None:
        yield _line(f"id: {_scalar(spec.id)}", f"{notes.get(spec.id, '')}; kept with the log, never scored")
    if spec.ignored:
        yield "ignored:  # accepted in requests, not used"
    for name in spec.ignored:
        yield _line(f"  - {_scalar(name)}", notes.get(name, ""))


def _line(text: str, note: str) -> str:
    return f"{text:<{COMMENT_COLUMN}}  # {_plain(note)}" if note else text


def _plain(text: str) -> str:
    """Keep a comment on its line, whatever a column is called."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _key(name: str) -> str:
    text = yaml.safe_dump({name: 0}, allow_unicode=True, width=WIDE)
    # A key that YAML would write over several lines has the same meaning as JSON in quotes.
    return text.removesuffix(" 0\n") if text.count("\n") == 1 else f"{msgspec.json.encode(name).decode()}:"


def _scalar(value: str) -> str:
    text = yaml.safe_dump([value], allow_unicode=True, width=WIDE, default_flow_style=True)
    return text.strip()[1:-1] if text.count("\n") == 1 else msgspec.json.encode(value).decode()


def _value(part: Feature | Target | Data) -> str:
    plain: dict[str, Any] = msgspec.to_builtins(part)
    usual = {field.name: field.default for field in msgspec.structs.fields(part)}
    found = {key: _number(value) for key, value in plain.items() if getattr(part, key) != usual[key]}
    return yaml.safe_dump(
        found, allow_unicode=True, width=WIDE, default_flow_style=True, sort_keys=False
    ).strip()


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value
