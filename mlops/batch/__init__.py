"""Scoring of whole files: cut into parts, scored on Dask, put together again.

``places`` finds files, ``cutting`` and ``reading`` take them apart, ``scoring`` is what a worker does with
one part, ``formats`` how answers are written, ``workfolder`` what is done already, ``running`` who asks the
workers, ``shipping`` how answers reach MongoDB. Heavy (Dask, and Arrow where installed): the web process
never imports it.
"""
