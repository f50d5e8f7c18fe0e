"""Pipelines that a spec can name, unfitted. A function that takes a parameter gets the spec."""

from model.preprocessing.bundled import songs

__all__ = ["songs"]
