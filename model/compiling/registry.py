"""Which function compiles which step, and by which of its methods.

A converter takes the fitted step, the table of symbolic columns that reach it and the graph, and returns
the table that the step's method would return:

- ``transform``: any columns;
- ``predict_proba``: a column a class, in the order of ``classes_``;
- ``decision_function``: one column for two classes, else one a class;
- ``predict``: one column, for classifiers the position in ``classes_``.

Only the very class that was registered is compiled: a subclass may answer something else.
"""

from collections.abc import Callable
from typing import Any

from model.compiling.errors import NotCompilableError
from model.compiling.graph import Graph
from model.compiling.tables import Table

Converter = Callable[[Any, Table, Graph], Table]

_CONVERTERS: dict[tuple[object, str], Converter] = {}


def converts(*kinds: object, method: str = "transform") -> Callable[[Converter], Converter]:
    """Register the decorated function for the given classes, or for functions of a FunctionTransformer."""

    def register(converter: Converter) -> Converter:
        for kind in kinds:
            _CONVERTERS[kind, method] = converter
        return converter

    return register


def find(kind: object, method: str) -> Converter | None:
    """Return the converter of exactly this class (or function), if there is one."""
    return _CONVERTERS.get((kind, method))


def compiles(step: Any, method: str) -> bool:
    """Return whether ``convert`` knows a way, without trying it."""
    return find(type(step), method) is not None or (method == "transform" and hasattr(step, "to_onnx"))


def convert(step: Any, method: str, table: Table, graph: Graph) -> Table:
    """Return what ``step.method`` makes of a table.

    Raises
    ------
    NotCompilableError
        If nobody registered a converter, or it found something that it cannot express.
    """
    converter = find(type(step), method)
    try:
        if converter is not None:
            return converter(step, table, graph)
        if method == "transform" and hasattr(step, "to_onnx"):
            own: Table = step.to_onnx(table, graph)
            return own
    except NotCompilableError as error:
        raise NotCompilableError(_with_name(type(step).__name__, error.reason)) from error
    raise NotCompilableError(f"{type(step).__name__}: no converter for {method}")


def _with_name(name: str, reason: str) -> str:
    return (
        reason if reason.startswith(name) else f"{name} > {reason}" if ":" in reason else f"{name}: {reason}"
    )
