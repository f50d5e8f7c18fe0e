"""Pipelines that a spec can name, unfitted.

A function that has a parameter ``spec`` gets the resolved spec, one that has ``n_rows`` the number of rows.
"""

from model.preprocessing.bundled import songs
from model.preprocessing.default import default_pipeline

__all__ = ["default_pipeline", "songs"]
