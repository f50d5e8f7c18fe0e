"""What a training learns, where its spec asks for it, about how sure answers are and which rows are unusual.

Heavy: works on DataFrames of training rows; ``model.conformal`` and ``model.novelty`` have the methods.
"""

import logging

import numpy as np
import pandas as pd

from model import conformal as methods
from model import novelty as outliers
from model.conformal import Conformal, Scored
from model.novelty import Novelty
from model.spec import Spec

log = logging.getLogger(__name__)


def conformal(spec: Spec, held_out: Scored, out_of_fold: Scored) -> Conformal | None:
    """Learn intervals or sets; None where the spec asks for none, or rows are too few to vouch for them."""
    if spec.intervals is None:
        return None
    try:
        return methods.learn(spec.intervals, held_out, out_of_fold)
    except methods.TooFewRowsError as error:
        log.warning("%s: answers will have no intervals. %s", spec.name, error)
        return None


def novelty(spec: Spec, features: pd.DataFrame) -> Novelty | None:
    """Learn what usual rows are like; None where the spec does not ask for it."""
    if spec.novelty is None:
        return None
    numbers = features[list(spec.numbers)].to_numpy(dtype=np.float64)
    texts = (
        features[list(spec.texts)].astype(object).fillna("").to_numpy(dtype=object) if spec.texts else None
    )
    categories = {name: spec.features[name].categories or () for name in spec.texts}
    return outliers.learn(spec.novelty, numbers, texts, (spec.numbers, spec.texts), categories)
