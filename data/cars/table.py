"""Description of the cars table, and the forms of its measures with their units inside the text."""

import numpy as np
import pandas as pd

from data.columns import Column, Source, Table

_NM_PER_KGM = 9.80665
_MAX_KGM = 90
_GAS = ("CNG", "LPG")  # their mileage is given by the kilogram


def _number(cells: pd.Series) -> pd.Series:
    return pd.to_numeric(cells.str.extract(r"(\d+(?:\.\d+)?)", expand=False))


def _torque_nm(cells: pd.Series) -> pd.Series:
    torque = _number(cells.str.replace(",", ""))
    lower = cells.str.lower()
    says_kgm = lower.str.contains("kgm", na=False) & ~lower.str.contains("nm", na=False)
    # no car has 90 kgm: those numbers are Nm under a wrong unit
    return torque.where(~(says_kgm & (torque < _MAX_KGM)), torque * _NM_PER_KGM)


def _torque_speed(cells: pd.Series) -> pd.Series:
    """Speed of the engine at the torque, per minute; of a range its upper end."""
    plain = cells.str.replace(r",|\+/-\d+", "", regex=True)
    after = plain.str.split(r"@|at|/", n=1, regex=True).str[1]
    return pd.to_numeric(after.str.extract(r"(\d{3,5})(?!.*\d{3,5})", expand=False))


def _prepare(rows: pd.DataFrame) -> pd.DataFrame:
    measured = {name: _number(rows[name]) for name in ("mileage", "engine", "max_power")}
    measured["torque"] = _torque_nm(rows["torque"])
    measured["torque_speed"] = _torque_speed(rows["torque"])
    return rows.assign(name=rows["name"].str.split().str[0], **measured)


def _finish(rows: pd.DataFrame) -> pd.DataFrame:
    per = np.where(rows["fuel"].isin(_GAS), " km/kg", " kmpl")
    speed = rows["torque_speed"].round(-1)
    return rows.assign(
        mileage=_text(rows["mileage"]) + per,
        engine=_text(rows["engine"]) + " CC",
        max_power=_text(rows["max_power"]) + " bhp",
        torque=_text(rows["torque"]) + "Nm@ " + _text(speed) + "rpm",
    )


def _text(cells: pd.Series) -> pd.Series:
    return cells.map("{:g}".format, na_action="ignore").astype("str")


TABLE = Table(
    name="cars",
    target="selling_price",
    rows=6000,
    bands=12,
    prepare=_prepare,
    finish=_finish,
    columns=(
        Column("name", "category", "make of the car (the public table adds the model)", keep=25),
        Column("year", "steps", "year of manufacture"),
        Column("selling_price", "number", "target: asked price, Indian rupees"),
        Column("km_driven", "number", "distance driven, km"),
        Column("fuel", "category", "Diesel, Petrol, CNG or LPG"),
        Column("seller_type", "category", "Individual, Dealer or Trustmark Dealer"),
        Column("transmission", "category", "Manual or Automatic"),
        Column("owner", "category", "how many owners it has had"),
        Column("mileage", "number", "distance by fuel, km per litre (kmpl) or per kg (km/kg)", decimals=2),
        Column("engine", "number", "displacement, cubic centimetres (CC)", missing_with="mileage"),
        Column("max_power", "number", "power, brake horsepower (bhp)", decimals=2, missing_with="mileage"),
        Column("torque", "number", "torque, Nm at revolutions a minute", decimals=1, missing_with="mileage"),
        Column("seats", "steps", "number of seats", missing_with="mileage"),
    ),
    hidden=(Column("torque_speed", "number", "revolutions a minute", missing_with="mileage"),),
    source=Source(
        title="GitHub repository tusharggupta/Second-hand-car-price-prediction, Car details v3.csv"
        " (CarDekho adverts)",
        licence="not stated",
        files={
            "car_details_v3.csv": "https://raw.githubusercontent.com/tusharggupta/"
            "Second-hand-car-price-prediction/eb3c590ce70320c4a82472bd287126bd82d05e70/Car%20details%20v3.csv"
        },
    ),
)
