"""Which shape of database this program writes, and the field by which documents say which one they have.

A document without the field is from before there was one. Readers look at documents, not at the number: each
takes older and newer ones, which only ever have fields more or less.
"""

from typing import Final

SCHEMA_VERSION: Final = 2  # of the last step of ``utils.mongo.migrations``
FIELD: Final = "schema_version"
STAMP: Final = {FIELD: SCHEMA_VERSION}
