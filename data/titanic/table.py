"""Description of the titanic table. Names, tickets and cabins of the passengers are left out."""

import pandas as pd

from data.columns import Column, Source, Table


def _finish(rows: pd.DataFrame) -> pd.DataFrame:
    """Give ages in whole years, but those of infants below one in hundredths."""
    return rows.assign(Age=rows["Age"].where(rows["Age"] < 1, rows["Age"].round()))


TABLE = Table(
    name="titanic",
    target="Survived",
    rows=4000,
    groups=("Survived", "Sex"),
    finish=_finish,
    columns=(
        Column("PassengerId", "id", "number of the passenger in the table"),
        Column("Survived", "steps", "target: 1 = survived, 0 = died"),
        Column("Pclass", "steps", "class of the ticket, 1-3"),
        Column("Sex", "category", "female or male"),
        Column("Age", "number", "years; below one in hundredths", decimals=2),
        Column("SibSp", "steps", "siblings and spouses aboard"),
        Column("Parch", "steps", "parents and children aboard"),
        Column("Fare", "number", "price of the ticket, pounds", decimals=4),
        Column("Embarked", "category", "port: S = Southampton, C = Cherbourg, Q = Queenstown"),
    ),
    source=Source(
        title="GitHub repository datasciencedojo/datasets, titanic.csv (the Kaggle training table)",
        licence="not stated",
        files={
            "titanic.csv": "https://raw.githubusercontent.com/datasciencedojo/datasets/"
            "1101b19008569fab7eec7e3b04d2b68613092607/titanic.csv"
        },
    ),
)
