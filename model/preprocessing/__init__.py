"""Pipelines that a spec can name, unfitted.

A function that has a parameter ``spec`` gets the resolved spec, one that has ``n_rows`` the number of rows.
"""

from model.preprocessing.bundled import songs
from model.preprocessing.default import default_pipeline
from model.preprocessing.mortality import trees
from model.preprocessing.prices import cars
from model.preprocessing.revenue import movies
from model.preprocessing.survival import titanic

__all__ = ["cars", "default_pipeline", "movies", "songs", "titanic", "trees"]
