"""Who is built by ``PUT /run-pipeline``."""

from types import SimpleNamespace

import pytest

from app.retraining import builds
from model import spec as specs
from utils.settings import Settings


def services(default_model, models):
    return SimpleNamespace(
        settings=Settings(default_model=default_model),
        specs={name: specs.find(name, (specs.BUNDLED,))[0] for name in models},
    )


@pytest.mark.parametrize(
    ("default_model", "models", "expected"),
    [
        ("songs", ["songs", "titanic"], "titanic"),
        ("songs", ["songs"], "songs"),
        ("movies", ["songs", "titanic", "movies"], "movies"),
    ],
)
def test_the_spec_says_who_is_built_unless_a_default_model_was_chosen(default_model, models, expected):
    assert builds(services(default_model, models)) == {"/run-pipeline": expected}
