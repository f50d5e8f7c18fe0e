"""Aggregated figures of a public table: quantiles, shares and rank correlations, never rows.

Measures a data frame and keeps the result as JSON. Knows nothing of single tables, files to download or of
how rows are simulated from the figures.
"""

import re
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from data.columns import Column, Table

MIN_GROUP_ROWS = 40  # fewer rows would make a figure the portrait of single rows
MAX_ATOMS = 24
_TAIL = (0.0, 0.005, 0.01, 0.025)
_FINE = [*_TAIL, *np.linspace(0.05, 0.95, 33).round(5).tolist(), 0.975, 0.99, 0.995, 1.0]
_COARSE = [0.0, 0.01, 0.025, *np.linspace(0.05, 0.95, 19).round(5).tolist(), 0.975, 0.99, 1.0]
_GRIDS = {len(_FINE): _FINE, len(_COARSE): _COARSE}


class Number(msgspec.Struct, tag="number", omit_defaults=True):
    """A numeric column of a group: quantiles of the values that are no atoms, and the atoms."""

    quantiles: list[float] = []
    atoms: list[tuple[float, float]] = []
    missing: float = 0.0

    @property
    def levels(self) -> list[float]:
        """Levels of the quantiles: one of the two grids, or even steps from 0 to 1."""
        n = len(self.quantiles)
        return _GRIDS[n] if n in _GRIDS else np.linspace(0, 1, n).tolist()


class Shares(msgspec.Struct, tag="shares", omit_defaults=True):
    """A column of few values in their order (numeric, or by the mean of the target) with their shares."""

    values: list[float | str] = []
    shares: list[float] = []
    missing: float = 0.0


class Group(msgspec.Struct):
    """Figures of the rows with the same group keys.

    ``gaps`` are columns with empty cells; which cells are empty is a variable (0 or 1) of its own.
    ``correlations`` are Spearman's, in the order of ``columns`` and then ``gaps``.
    """

    keys: dict[str, float | str]
    n_rows: int
    columns: dict[str, Number | Shares]
    gaps: list[str]
    correlations: list[list[float]]


class Figures(msgspec.Struct):
    """All figures of a table. ``nested``: column -> joined values of what it depends on -> value -> share."""

    table: str
    source: str
    licence: str
    measured_on: date
    n_rows: int
    target: str
    groups: list[Group]
    nested: dict[str, dict[str, dict[str, float]]]


def read(path: Path) -> Figures:
    """Read figures from a JSON file; ``msgspec.ValidationError`` if it is not of that shape."""
    return msgspec.json.decode(path.read_bytes(), type=Figures)


def write(figures: Figures, path: Path) -> None:
    """Write figures as JSON with a line for each list of numbers, so that changes can be reviewed."""
    text = msgspec.json.format(msgspec.json.encode(figures), indent=1).decode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(re.sub(r"\[[^\[\]{}]*\]", _on_one_line, text) + "\n", encoding="utf-8")


def _on_one_line(found: re.Match[str]) -> str:
    return " ".join(found.group().split()).replace("[ ", "[").replace(" ]", "]")


def measure(table: Table, rows: pd.DataFrame, measured_on: date) -> Figures:
    """Measure the figures of a table.

    Parameters
    ----------
    table : Table
        What to measure.
    rows : DataFrame of shape (n_rows, n_columns)
        Public rows after ``table.prepare``. Rows without target are left out.
    measured_on : date
        Kept with the figures.

    Raises
    ------
    ValueError
        If a group has fewer than ``MIN_GROUP_ROWS`` rows.
    """
    rows = _with_other(table, rows[rows[table.target].notna()])
    orders = {c.name: _order(c, rows, table.target) for c in table.of_kind("steps", "category")}
    groups = [_measure_group(table, keys, part, orders) for keys, part in _groups(table, rows)]
    return Figures(
        table=table.name,
        source=table.source.title,
        licence=table.source.licence,
        measured_on=measured_on,
        n_rows=len(rows),
        target=table.target,
        groups=groups,
        nested={c.name: _measure_nested(c, rows) for c in table.of_kind("nested")},
    )


def _with_other(table: Table, rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.copy()
    for column in table.columns:
        if column.keep is not None:
            kept = rows[column.name].value_counts().index[: column.keep]
            rows[column.name] = rows[column.name].where(
                rows[column.name].isin(kept) | rows[column.name].isna(), "Other"
            )
    return rows


def _order(column: Column, rows: pd.DataFrame, target: str) -> list[float | str]:
    """Values in the order of their latent scale: numbers as such, categories by the target's mean rank."""
    if column.kind == "steps":
        return sorted(float(v) for v in rows[column.name].dropna().unique())
    means = rows[target].rank().groupby(rows[column.name]).mean()
    return [str(v) for v in means.sort_values(kind="stable").index]


def _groups(table: Table, rows: pd.DataFrame) -> list[tuple[dict[str, float | str], pd.DataFrame]]:
    keyed = rows[list(table.groups)].copy()
    if table.bands:
        # equally large bands, so ties of the target are split by their place
        keyed["band"] = pd.qcut(rows[table.target].rank(method="first"), table.bands, labels=False)
    found = []
    for values, part in rows.groupby([keyed[name] for name in keyed]):
        keys = {str(name): _plain(value) for name, value in zip(keyed, values, strict=True)}
        if len(part) < MIN_GROUP_ROWS:
            raise ValueError(f"{table.name}: group {keys} has {len(part)} rows, fewer than {MIN_GROUP_ROWS}")
        found.append((keys, part))
    return found


def _plain(value: object) -> float | str:
    return value if isinstance(value, str) else float(value)  # type: ignore[arg-type]


def _measure_group(
    table: Table, keys: dict[str, float | str], rows: pd.DataFrame, orders: dict[str, list[float | str]]
) -> Group:
    measured = table.of_kind("number", "steps", "category")
    columns = {c.name: _measure_column(c, rows[c.name], orders.get(c.name)) for c in measured}
    gaps = [c.name for c in measured if not c.missing_with and 0 < columns[c.name].missing < 1]
    codes = {c.name: _codes(c, rows[c.name], orders.get(c.name)) for c in measured}
    is_empty = {f"{name} is empty": rows[name].isna().astype(float) for name in gaps}
    correlations = _rank_correlations(pd.DataFrame(codes | is_empty))
    return Group(keys=keys, n_rows=len(rows), columns=columns, gaps=gaps, correlations=correlations)


def _rank_correlations(codes: pd.DataFrame) -> list[list[float]]:
    found = np.nan_to_num(codes.corr(method="spearman", min_periods=MIN_GROUP_ROWS // 2).to_numpy())
    np.fill_diagonal(found, 1.0)
    rounded: list[list[float]] = found.round(3).tolist()
    return rounded


def _codes(column: Column, cells: pd.Series, order: list[float | str] | None) -> pd.Series:
    if column.kind != "category" or order is None:
        return cells.astype(float)
    return cells.map({value: float(i) for i, value in enumerate(order)}).astype(float)


def _measure_column(column: Column, cells: pd.Series, order: list[float | str] | None) -> Number | Shares:
    figures = (
        _measure_number(cells.dropna().astype(float), column.atom_share)
        if order is None
        else _measure_shares(cells, order)
    )
    figures.missing = round(float(cells.isna().mean()), 4)
    return figures


def _measure_number(values: pd.Series, atom_share: float) -> Number:
    atoms = _atoms(values, atom_share)
    rest = values[~values.isin([value for value, _ in atoms])]
    if len(rest) < 2:
        return Number(atoms=atoms)
    levels = _FINE if len(rest) >= 5 * len(_FINE) else _COARSE
    return Number(quantiles=[_short(q) for q in np.quantile(rest, levels)], atoms=atoms)


def _atoms(values: pd.Series, atom_share: float) -> list[tuple[float, float]]:
    """Exact values that are frequent enough to be a property of the column and not of a row."""
    counts = values.value_counts().head(MAX_ATOMS)
    counts = counts[(counts >= 5) & (counts >= atom_share * len(values))]
    shares = (counts / len(values)).round(5)
    return sorted(zip(counts.index.to_numpy(float).tolist(), shares.tolist(), strict=True))


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _measure_shares(cells: pd.Series, order: list[float | str]) -> Shares:
    shares = cells.value_counts(normalize=True)
    present = [value for value in order if shares.get(value, 0.0) > 0]
    return Shares(values=present, shares=[round(float(shares[value]), 5) for value in present])


def _measure_nested(column: Column, rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    keys = join_keys(rows, column.given)
    shares = rows[column.name].astype(str).groupby(keys).value_counts(normalize=True)
    found: dict[str, dict[str, float]] = {}
    ordered = shares.sort_index()
    for (key, value), share in zip(ordered.index.to_list(), ordered.to_numpy(float), strict=True):
        found.setdefault(key, {})[value] = round(float(share), 5)
    return found


def join_keys(rows: pd.DataFrame, names: tuple[str, ...]) -> pd.Series:
    """Join the values of some columns to one text a row, as the keys of nested shares are written."""
    parts = [rows[name].map(lambda value: str(_plain(value))) for name in names]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined + "|" + part
    return joined
