"""Both paths give the same scores for pipelines of every family, on rows that training did not see."""

import numpy as np
import pytest

from tests.unit import compiling_catalog as catalog

# Where many training rows are equally far, or densities are all rounding, the pipeline has to answer.
MAY_ABSTAIN = ("neighbours", "bayes")


def _pairs(models: dict[str, catalog.Model], n_preps: int) -> list[tuple[str, str, int]]:
    """Choose a few preparations for each model, so that each preparation meets many models."""
    rng = np.random.default_rng(20)
    pairs = []
    for name, model in models.items():
        preps = [prep for prep, made in catalog.PREPS.items() if catalog.fits(made, model)]
        for n_classes in model.classes:
            pairs.extend((str(prep), name, n_classes) for prep in rng.choice(preps, n_preps, replace=False))
    return pairs


@pytest.mark.parametrize(("prep", "model", "n_classes"), _pairs(catalog.CLASSIFIERS, 2))
def test_a_classifier_answers_the_same_probabilities_both_ways(prep: str, model: str, n_classes: int) -> None:
    _assert_same(catalog.PREPS[prep], catalog.CLASSIFIERS[model], n_classes, model)


@pytest.mark.parametrize(("prep", "model", "n_classes"), _pairs(catalog.REGRESSORS, 3))
def test_a_regressor_answers_the_same_values_both_ways(prep: str, model: str, n_classes: int) -> None:
    _assert_same(catalog.PREPS[prep], catalog.REGRESSORS[model], n_classes, model)


def _assert_same(prep: catalog.Prep, model: catalog.Model, n_classes: int, name: str) -> None:
    pipeline, frame = catalog.fitted(prep, model, n_classes, seed=3)

    result = catalog.compare(pipeline, frame)

    assert result.difference < 1e-6
    assert result.undecided < 0.05 or any(word in name for word in MAY_ABSTAIN)
