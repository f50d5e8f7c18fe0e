"""Simulated tables teach what the public rows show: trained on the one, scored on the other."""

import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data import figures, public, tables

PUBLIC = Path(os.environ.get("VIGIA_PUBLIC_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = [
    pytest.mark.public_data,
    pytest.mark.skipif(
        not PUBLIC.is_dir(), reason=f"no public tables (looked in {PUBLIC}; set VIGIA_PUBLIC_DATA)"
    ),
]


def public_rows(name: str) -> pd.DataFrame:
    table = tables.TABLES[name]
    rows = public.read(table, PUBLIC)
    return rows[rows[table.target].notna()].reset_index(drop=True)


def simulated_rows(name: str, folder: Path) -> pd.DataFrame:
    return pd.read_csv(tables.make(name, folder), keep_default_na=False, na_values=["", "NA"])


def song_features(rows: pd.DataFrame) -> pd.DataFrame:
    used = rows.drop(columns=["reggaeton", "time_signature", "id_new"])
    return used.reindex(columns=tables.TABLES["songs"].header[:13]).fillna(used.median(numeric_only=True))


FOREST = RandomForestClassifier(200, min_samples_leaf=3, n_jobs=2, random_state=0)
LOGISTIC = make_pipeline(StandardScaler(), CalibratedClassifierCV(LogisticRegression(max_iter=1000), cv=3))


@pytest.mark.parametrize(
    ("model", "least_auc"), [(FOREST, 0.95), (LOGISTIC, 0.92)], ids=["forest", "logistic"]
)
def test_a_model_of_the_simulated_songs_ranks_the_public_ones(model, least_auc, tmp_path):
    simulated, real = simulated_rows("songs", tmp_path), public_rows("songs")
    model.fit(song_features(simulated), simulated["reggaeton"])
    scores = model.predict_proba(song_features(real))[:, 1]

    assert roc_auc_score(real["reggaeton"], scores) >= least_auc
    assert average_precision_score(real["reggaeton"], scores) >= 0.25


@pytest.mark.parametrize("name", sorted(tables.TABLES))
def test_the_committed_figures_are_those_of_the_public_table(name):
    kept = figures.read(tables.figures_path(name))

    assert tables.measure(name, PUBLIC, date(2024, 1, 2)).groups == kept.groups


@pytest.mark.parametrize("name", sorted(tables.TABLES))
def test_no_public_row_is_among_the_simulated_ones(name, tmp_path):
    header = [
        c for c in tables.TABLES[name].header if c not in {k.name for k in tables.TABLES[name].of_kind("id")}
    ]
    real = set(map(tuple, public_rows(name)[header].astype(str).to_numpy()))
    simulated = set(map(tuple, simulated_rows(name, tmp_path)[header].astype(str).to_numpy()))

    assert not real & simulated


@pytest.mark.parametrize("name", sorted(tables.TABLES))
def test_means_of_simulated_numbers_are_near_those_of_the_public_ones(name, tmp_path):
    real, simulated = (
        tables.TABLES[name].prepare(r) for r in (public_rows(name), simulated_rows(name, tmp_path))
    )
    for column in tables.TABLES[name].of_kind("number"):
        spread = np.nanstd(real[column.name].astype(float))

        assert simulated[column.name].mean() == pytest.approx(real[column.name].mean(), abs=0.1 * spread)
