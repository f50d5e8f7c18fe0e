"""The songs model on public tracks: trained on them, and trained on the simulated table."""

import os
from pathlib import Path

import pytest

from data import public, tables
from model import frame, spec, training
from model.evaluation import evaluate
from model.predictor import CompiledPredictor

PUBLIC = Path(os.environ.get("VIGIA_PUBLIC_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = [
    pytest.mark.public_data,
    pytest.mark.skipif(
        not PUBLIC.is_dir(), reason=f"no public tables (looked in {PUBLIC}; set VIGIA_PUBLIC_DATA)"
    ),
]
SPEC = spec.load(spec.BUNDLED / "songs.yaml")


@pytest.fixture(scope="module")
def tracks():
    """Public rows with their label."""
    return public.read(tables.TABLES["songs"], PUBLIC / "songs_reggaeton")


@pytest.fixture(scope="module")
def of_public_tracks(tracks):
    return training.train(SPEC, tracks)


@pytest.fixture(scope="module")
def of_simulated_tracks(tmp_path_factory):
    return training.train(SPEC, frame.read_table(tables.make("songs", tmp_path_factory.mktemp("data")), SPEC))


def test_trained_on_public_tracks_it_finds_reggaeton_among_held_out_ones(of_public_tracks):
    assert of_public_tracks.metrics["roc_auc"] >= 0.93
    assert of_public_tracks.cross_validation["roc_auc"]["mean"] >= 0.96
    assert of_public_tracks.cross_validation["average_precision"]["mean"] >= 0.65


def test_its_probabilities_are_calibrated(of_public_tracks):
    never, share = 0.03 * 0.97, of_public_tracks.cross_validation["brier"]["mean"]

    assert share < 0.6 * never  # the score of who always answers the share of reggaeton


def test_trained_on_simulated_tracks_it_knows_public_ones(of_simulated_tracks, tracks):
    trained = of_simulated_tracks
    rows = frame.labelled_rows(trained.spec, tracks)
    found = evaluate(
        trained.spec,
        rows.y,
        training.scored(trained.pipeline, trained.spec, rows.features),
        trained.threshold,
    )

    assert found["roc_auc"] >= 0.95
    assert found["average_precision"] >= 0.7
    assert found["f1"] >= 0.6


def test_the_compiled_model_scores_public_tracks_as_the_pipeline_does(of_simulated_tracks, tracks):
    trained = of_simulated_tracks
    features = frame.features_frame(trained.spec, tracks)
    compiled = CompiledPredictor(trained.compiled).own_scores(features.to_numpy(), None)

    assert compiled == pytest.approx(training.scored(trained.pipeline, trained.spec, features), abs=1e-6)


def test_rows_without_audio_features_are_left_out_of_training_and_still_scored(of_public_tracks, tracks):
    n_gaps = int(tracks["danceability"].isna().sum())
    features = frame.features_frame(of_public_tracks.spec, tracks[tracks["danceability"].isna()])

    assert of_public_tracks.trained_on["n_incomplete"] == n_gaps > 0
    scores = training.scored(of_public_tracks.pipeline, of_public_tracks.spec, features)
    assert ((scores >= 0) & (scores <= 1)).all()
