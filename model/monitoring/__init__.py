"""Data drift, prediction drift and data quality, computed from counts alone.

Pure: arrays and bytes in, results out; no file, database, web or clock. ``reference`` holds what training
looked like, ``cells`` counts rows into it, ``statistics`` measures distances, ``decision`` says whether they
matter. Read ``docs/drift-proof.md`` for why the budget of false alarms holds.

``decide`` needs SciPy, so it is imported when it is first used: pages count and compare without it.
"""

from typing import TYPE_CHECKING, Any

from model.monitoring.cells import CategoryCells, Counts, NumberCells
from model.monitoring.feature import FeatureReference
from model.monitoring.ladder import history_needed
from model.monitoring.policy import Policy, Timeline
from model.monitoring.reference import PREDICTION, PROBABILITY, ModelCounts, ModelReference
from model.monitoring.results import DriftResult, FeatureDrift

if TYPE_CHECKING:
    from model.monitoring.decision import decide

__all__ = [
    "PREDICTION",
    "PROBABILITY",
    "CategoryCells",
    "Counts",
    "DriftResult",
    "FeatureDrift",
    "FeatureReference",
    "ModelCounts",
    "ModelReference",
    "NumberCells",
    "Policy",
    "Timeline",
    "decide",
    "history_needed",
]


def __getattr__(name: str) -> Any:
    if name == "decide":
        from model.monitoring import decision

        return decision.decide
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
