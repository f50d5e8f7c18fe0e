"""Description of the movies table, and the form of its dates. Titles and directors are left out."""

import numpy as np
import pandas as pd

from data.columns import Column, Source, Table

_EPOCH = pd.Timestamp("1970-01-01")
_NEWEST_YEAR = 2011  # the table was made in 2010; a later year has lost its century


def _prepare(rows: pd.DataFrame) -> pd.DataFrame:
    dates = pd.to_datetime(rows["Release Date"], format="%b %d %Y")
    is_future = dates.dt.year > _NEWEST_YEAR
    dates = dates.where(~is_future, dates - pd.DateOffset(years=100))
    return rows.assign(**{"Release Date": (dates - _EPOCH).dt.days})


def _finish(rows: pd.DataFrame) -> pd.DataFrame:
    dates = _EPOCH + pd.to_timedelta(rows["Release Date"], unit="D")
    at_home = np.minimum(rows["US Gross"], rows["Worldwide Gross"])  # the part is not above the whole
    return rows.assign(**{"Release Date": dates.dt.strftime("%b %d %Y"), "US Gross": at_home})


TABLE = Table(
    name="movies",
    target="Worldwide Gross",
    rows=4000,
    bands=12,
    prepare=_prepare,
    finish=_finish,
    columns=(
        Column("US Gross", "number", "earned in the United States, US dollars; part of the target: leaks"),
        Column("Worldwide Gross", "number", "target: earned worldwide, US dollars"),
        Column("Production Budget", "number", "cost, US dollars"),
        Column("Release Date", "number", "day of the first showing, as Jun 12 1998"),
        Column("MPAA Rating", "category", "for whom it is fit: G, PG, PG-13, R, NC-17, Not Rated, Open"),
        Column("Running Time min", "number", "length, minutes"),
        Column("Distributor", "category", "who brought it to the cinemas; small ones are Other", keep=15),
        Column("Source", "category", "what it is based on", keep=10),
        Column("Major Genre", "category", "genre"),
        Column("Creative Type", "category", "kind of story"),
        Column("Rotten Tomatoes Rating", "number", "good reviews, percent; known after release: leaks"),
        Column("IMDB Rating", "number", "rating of viewers, 0-10; known after release: leaks", decimals=1),
        Column("IMDB Votes", "number", "number of viewers' ratings; known after release: leaks"),
    ),
    source=Source(
        title="GitHub repository vega/vega-datasets, data/movies.json",
        licence="BSD-3-Clause for the repository; origin of the rows not stated",
        files={"movies.csv": "https://raw.githubusercontent.com/vega/vega-datasets/v2.7.0/data/movies.json"},
    ),
)
