"""What a draft is unsure of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that a person should look at.

    Attributes
    ----------
    code : str
        Such as ``leak``, ``identifier``, ``known_later``, ``date_order``, ``constant``.
    column : str
        The column it is about; "" for the whole table.
    detail : str
        One sentence: what was found and what was made of it.
    """

    code: str
    column: str
    detail: str

    def __str__(self) -> str:
        return f"{self.column}: {self.detail}" if self.column else self.detail
