"""Cells of public tables become plain values before measuring and get their form back after simulating."""

import pandas as pd
import pytest

from data import tables


def car(**cells: object) -> pd.DataFrame:
    usual = {"name": "Tata Nexon", "mileage": "23.4 kmpl", "engine": "1248 CC", "max_power": "74 bhp"}
    return pd.DataFrame([usual | {"torque": "190Nm@ 2000rpm"} | cells])


@pytest.mark.parametrize(
    ("text", "torque", "speed"),
    [
        ("190Nm@ 2000rpm", 190, 2000),
        ("250nm@ 1500-2500rpm", 250, 2500),
        ("12.7@ 2,700(kgm@ rpm)", 12.7 * 9.80665, 2700),
        ("110(11.2)@ 4800", 110, 4800),
        ("22.4 kgm at 1750-2750rpm", 22.4 * 9.80665, 2750),
        ("115@ 2,500(kgm@ rpm)", 115, 2500),  # the unit is wrong in the source
        ("48@ 3,000+/-500(NM@ rpm)", 48, 3000),
    ],
)
def test_the_many_forms_of_torque_become_newton_metres_and_speed(text, torque, speed):
    plain = tables.TABLES["cars"].prepare(car(torque=text)).iloc[0]

    assert plain["torque"] == pytest.approx(torque)
    assert plain["torque_speed"] == speed


def test_measures_of_a_car_come_back_with_their_units():
    plain = tables.TABLES["cars"].prepare(car()).assign(fuel="Diesel")
    written = tables.TABLES["cars"].finish(plain).iloc[0]

    assert written["mileage"] == "23.4 kmpl"
    assert written["engine"] == "1248 CC"
    assert written["max_power"] == "74 bhp"
    assert written["torque"] == "190Nm@ 2000rpm"


def test_cars_on_gas_give_their_mileage_by_the_kilogram_and_missing_measures_stay_missing():
    plain = tables.TABLES["cars"].prepare(car(engine=None)).assign(fuel="CNG")
    written = tables.TABLES["cars"].finish(plain).iloc[0]

    assert written["mileage"] == "23.4 km/kg"
    assert pd.isna(written["engine"])


def test_a_film_of_a_year_to_come_lost_its_century():
    dates = tables.TABLES["movies"].prepare(pd.DataFrame({"Release Date": ["Dec 31 2046", "Jun 12 1998"]}))
    written = tables.TABLES["movies"].finish(dates.assign(**{"US Gross": 1.0, "Worldwide Gross": 2.0}))

    assert written["Release Date"].tolist() == ["Dec 31 1946", "Jun 12 1998"]


def test_a_film_does_not_earn_more_at_home_than_worldwide(tmp_path):
    films = pd.read_csv(tables.make("movies", tmp_path, rows=500))

    assert (films["US Gross"].dropna() <= films["Worldwide Gross"]).all()


def test_planting_days_and_light_classes_have_the_form_of_the_source():
    rows = pd.DataFrame({"PlantDate": ["6/11/18", "5/3/18", "5/3/18"], "Light_ISF": [0.075, 0.076, 0.122]})
    written = tables.TABLES["trees"].finish(tables.TABLES["trees"].prepare(rows))

    assert written["PlantDate"].tolist() == ["6/11/18", "5/3/18", "5/3/18"]
    assert written["Light_Cat"].tolist() == ["Low", "Med", "High"]


def test_seedlings_of_arbuscular_species_have_no_ectomycorrhiza(tmp_path):
    trees = pd.read_csv(tables.make("trees", tmp_path, rows=500))

    assert trees.groupby("Myco")["EMF"].apply(lambda cells: cells.isna().all()).to_dict() == {
        "AMF": True,
        "EMF": False,
    }


def test_ages_are_whole_years_but_for_infants(tmp_path):
    ages = pd.read_csv(tables.make("titanic", tmp_path))["Age"].dropna()

    assert (ages[ages >= 1] % 1 == 0).all()
    assert (ages < 1).any()
