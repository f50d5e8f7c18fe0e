"""Description of the songs table."""

import pandas as pd

from data.columns import Column, Source, Table

_BASE = (
    "https://raw.githubusercontent.com/MnKGuitarPro/spike_challenge/"
    "f27c28e289099dbbd73b03adfafa457663a1b519/original-data/"
)


def _read(files: dict[str, pd.DataFrame]) -> pd.DataFrame:
    reggaeton = files["data_reggaeton.csv"].assign(reggaeton=1)
    other = files["data_todotipo.csv"].assign(reggaeton=0)
    return pd.concat([reggaeton, other], ignore_index=True)


TABLE = Table(
    name="songs",
    target="reggaeton",
    rows=8000,
    groups=("reggaeton",),
    read=_read,
    columns=(
        Column("popularity", "number", "popularity at Spotify, 0-100", atom_share=0.05),
        Column("danceability", "number", "how fit for dancing, 0-1", decimals=3),
        Column("energy", "number", "intensity, 0-1", decimals=3, missing_with="danceability"),
        Column("key", "steps", "pitch class, 0 = C ... 11 = B", missing_with="danceability"),
        Column("loudness", "number", "mean loudness, dB", decimals=3, missing_with="danceability"),
        Column("mode", "steps", "1 = major, 0 = minor", missing_with="danceability"),
        Column(
            "speechiness", "number", "share of spoken words, 0-1", significant=3, missing_with="danceability"
        ),
        Column(
            "acousticness",
            "number",
            "confidence that it is acoustic, 0-1",
            significant=3,
            missing_with="danceability",
        ),
        Column(
            "instrumentalness",
            "number",
            "confidence that nobody sings, 0-1",
            significant=3,
            missing_with="danceability",
        ),
        Column(
            "liveness",
            "number",
            "confidence that an audience is heard, 0-1",
            significant=3,
            missing_with="danceability",
        ),
        Column("valence", "number", "how cheerful, 0-1", significant=3, missing_with="danceability"),
        Column("tempo", "number", "beats per minute", decimals=3, missing_with="danceability"),
        Column("duration", "number", "milliseconds", missing_with="danceability"),
        Column("time_signature", "steps", "beats per bar; never given for reggaeton, so it leaks the label"),
        Column("id_new", "id", "number of the track in the table"),
        Column("reggaeton", "steps", "target: 1 = reggaeton, 0 = any other kind"),
    ),
    source=Source(
        title="GitHub repository MnKGuitarPro/spike_challenge, commit f27c28e, original-data/"
        " (Spotify Web API values of early 2018)",
        licence="not stated",
        files={name: _BASE + name for name in ("data_reggaeton.csv", "data_todotipo.csv")},
    ),
)
