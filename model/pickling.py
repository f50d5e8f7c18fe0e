"""Pipelines to bytes and back, by joblib. The only place that unpickles; its callers have checked the bytes.

Heavy: joblib, and what the pipeline is made of.
"""

import io
import warnings
from typing import Any

import joblib
from sklearn.exceptions import InconsistentVersionWarning

from model.artifact import Manifest, OtherPackagesError, advice

COMPRESSION = ("zlib", 3)


def dump(pipeline: Any) -> bytes:
    """Return a fitted pipeline as bytes."""
    buffer = io.BytesIO()
    joblib.dump(pipeline, buffer, compress=COMPRESSION)
    return buffer.getvalue()


def load(content: bytes, manifest: Manifest) -> Any:
    """Return the pipeline of bytes that ``artifact.checked`` has returned.

    A pipeline of another scikit-learn is loaded all the same; whether it still answers the same, the replay
    of the golden rows decides.

    Raises
    ------
    OtherPackagesError
        If these packages cannot read it; names the version to install.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            return joblib.load(io.BytesIO(content))
    except (AttributeError, ImportError, TypeError, ValueError, KeyError, IndexError) as error:
        raise OtherPackagesError(
            f"The pipeline of {manifest.model} {manifest.version} cannot be read with the packages installed"
            f" here ({error}). {advice(manifest)}"
        ) from error
