"""What a drift check, the clock and the gauges do without: seconds of start and tens of megabytes."""

import subprocess
import sys

import pytest

HEAVY = "distributed", "sklearn", "pandas", "scipy.stats", "joblib", "dask", "mlflow", "neptune"
CHECK = """
import numpy as np
from model.monitoring import ModelReference, Timeline, decide
rows = {"a": np.arange(500.0), "b": ["x", "y"] * 250}
reference = ModelReference.fit(rows, {"a": "number", "b": "category"})
assert decide(reference, Timeline.of(reference.count(rows))).verdict == "ok"
"""


@pytest.mark.parametrize("program", ["import mlops.operations, mlops.__main__", CHECK])
def test_a_drift_check_imports_no_heavy_library(program):
    told = f"{program}\nimport sys; print([name for name in {HEAVY} if name in sys.modules])"

    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_the_gauges_of_drift_need_no_numpy():
    told = "import mlops.drift_gauges, sys; print('numpy' in sys.modules, 'scipy' in sys.modules)"

    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)

    assert found.stdout.split() == ["False", "False"]
