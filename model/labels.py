"""Labels as people and files write them, matched to those of the spec: 1, 1.0, "1" and true are one label.

Light: for the web process, which reads labels of single predictions, as for training.
"""

import math

from model import written
from model.columns import FALSE_TEXTS, TRUE_TEXTS
from model.spec import Label, Spec


class UnknownLabelError(ValueError):
    """A value that is no label of this model; the message says what would be one."""


class LabelReader:
    """Reads the labels of one model.

    Parameters
    ----------
    spec : Spec
        Resolved: a classification names its classes.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._unknown = frozenset(key for label in spec.target.unknown for key in spellings(label))
        self._codes: dict[str, int] = {}
        exact, loose = map(spellings, spec.labels), map(_loose_keys, spec.labels)
        named = ([name] for name in spec.class_names)  # what answers say
        for written_as in (exact, named, loose):  # an exact match wins over one by meaning
            for code, keys in enumerate(written_as):
                for key in keys:
                    self._codes.setdefault(key, code)

    def read(self, value: object) -> float:
        """Return the position of the class in ``spec.labels``, or the value of a regression.

        Raises
        ------
        UnknownLabelError
            If the value is no label of this model.
        """
        if not self._unknown.isdisjoint(spellings(value)):
            raise UnknownLabelError(f"{value!r} stands for a {self._spec.target.name} that is not known")
        return self._number(value) if self._spec.task == "regression" else self._code(value)

    def label(self, value: object) -> Label:
        """Return the value as the spec writes it; raises as ``read`` does."""
        read = self.read(value)
        return read if self._spec.task == "regression" else self._spec.labels[int(read)]

    def _code(self, value: object) -> int:
        for key in spellings(value):
            if key in self._codes:
                return self._codes[key]
        labels = ", ".join(repr(label) for label in self._spec.labels[:12])
        raise UnknownLabelError(f"{value!r} is none of the labels {labels}")

    def _number(self, given: object) -> float:
        value = given
        if self._spec.target.written is not None and isinstance(value, str):
            value = written.read(value, self._spec.target.written)
        try:
            number = float(value)  # type: ignore[arg-type]  # what float refuses is answered below
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise UnknownLabelError(f"{given!r} is not a finite number")
        return number


def spellings(value: object) -> list[str]:
    """Return how one value may be written, the most literal way first.

    >>> spellings(1.0)
    ['1.0', '1']
    """
    if hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    text = str(value).strip()
    keys = [text, text.lower()] if isinstance(value, bool) else [text]
    try:
        number = float(text) if not isinstance(value, bool) else float(value)
    except ValueError:
        return [*keys, text.lower()] if text.lower() in TRUE_TEXTS | FALSE_TEXTS else keys
    return [*keys, str(int(number))] if number.is_integer() else keys


def _loose_keys(label: Label) -> frozenset[str]:
    """Words that mean this label where it is a truth value: in YAML, ``yes`` and ``no`` turn into these."""
    if isinstance(label, str) or label not in (0, 1):
        return frozenset()
    return TRUE_TEXTS if label else FALSE_TEXTS
