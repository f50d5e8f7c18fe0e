"""Description of the trees table, and the forms of its dates and light classes."""

import pandas as pd

from data.columns import Column, Source, Table

# Light_Cat in the public table is Light_ISF cut between 0.075 and 0.076 and between 0.118 and 0.122
_LIGHT_CUTS = [-1.0, 0.0755, 0.12, 2.0]
_LIGHT_NAMES = ["Low", "Med", "High"]
_DATE_FORM = "%m/%d/%y"
_EPOCH = pd.Timestamp("1970-01-01")


def _prepare(rows: pd.DataFrame) -> pd.DataFrame:
    days = (pd.to_datetime(rows["PlantDate"], format=_DATE_FORM) - _EPOCH).dt.days
    return rows.assign(PlantDate=days)


def _finish(rows: pd.DataFrame) -> pd.DataFrame:
    dates = _EPOCH + pd.to_timedelta(rows["PlantDate"], unit="D")
    text = [f"{date.month}/{date.day}/{date:%y}" for date in dates]
    light = pd.cut(rows["Light_ISF"], _LIGHT_CUTS, labels=_LIGHT_NAMES).astype(str)
    return rows.assign(PlantDate=text, Light_Cat=light)


TABLE = Table(
    name="trees",
    target="Event",
    rows=4000,
    groups=("Event", "Species"),
    prepare=_prepare,
    finish=_finish,
    columns=(
        Column("No", "id", "number of the seedling in the table"),
        Column("Plot", "steps", "plot of the forest, 1-18"),
        Column("Subplot", "category", "part of the plot, A-E"),
        Column("Species", "category", "species of the seedling"),
        Column("Light_ISF", "number", "share of light that reaches the subplot, 0-1", decimals=3),
        Column("Light_Cat", "derived", "Light_ISF in three classes: Low, Med, High"),
        Column("Core", "steps", "year in which the soil core was taken"),
        Column("Soil", "category", "species under which the soil was taken, or Sterile"),
        Column("Adult", "nested", "the tree under which the soil was taken", given=("Soil",)),
        Column("Sterile", "nested", "was the soil sterilised?", given=("Soil",)),
        Column("Conspecific", "nested", "is the soil that of the own species?", given=("Species", "Soil")),
        Column("Myco", "nested", "mycorrhizal type of the species: AMF or EMF", given=("Species",)),
        Column("SoilMyco", "nested", "mycorrhizal type of the soil: AMF, EMF or Sterile", given=("Soil",)),
        Column("PlantDate", "steps", "day of planting, month/day/year"),
        Column("AMF", "number", "arbuscular mycorrhiza, percent of fine roots", decimals=2),
        Column("EMF", "number", "ectomycorrhiza, percent of fine roots; empty for AMF species", decimals=2),
        Column("Phenolics", "number", "phenolics in the tissue; unit not stated, some below 0", decimals=2),
        Column("Lignin", "number", "lignin in the tissue; unit not stated", decimals=2),
        Column("NSC", "number", "non-structural carbohydrates in the tissue, percent", decimals=2),
        Column("Census", "steps", "outcome: number of the last census"),
        Column("Time", "steps", "outcome: days until death or the end"),
        Column("Event", "steps", "target: 1 = died, 0 = alive at harvest or at the end"),
        Column("Harvest", "steps", "outcome: 1 = taken for measuring"),
        Column("Alive", "nested", "outcome: Alive, or Dead even if harvested", given=("Event", "Harvest")),
    ),
    source=Source(
        title="GitHub repository kunzr/DSE3002---Project-3, Tree_Data.csv",
        licence="MIT (licence of the repository)",
        files={
            "Tree_Data.csv": "https://raw.githubusercontent.com/kunzr/DSE3002---Project-3/"
            "4d5584f43e383136e27bf77db2bf244b35dc8cd4/Tree_Data.csv"
        },
    ),
)
