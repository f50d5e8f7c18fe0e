"""The pages in a real browser. With PICTURES=1 they become the pictures of the README."""

import os
import random
import shutil

import pytest

from tests.running import LOG, ROOT, SONG, wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
pytestmark = [pytest.mark.browser, needs_browser]


@pytest.fixture(scope="module")
def drifted(service, trained):
    """A service that has seen 2,000 songs, faster than those of training."""
    from utils.mongo import connection

    randomly = random.Random(3)
    db = connection.connect(trained["MONGO_URI"], trained["MONGO_DB"])
    for name in LOG:
        db[name].delete_many({})
    service.post("/predict", [faster(row, randomly) for row in songs(2_000)])
    wait_until(lambda: db["predictions"].count_documents({}) >= 2_000)
    connection.close(db)
    status, report = service.post("/models/songs/monitor", b"")
    assert (status, report["drift"]) == (200, True)
    return service


def songs(count):
    import csv

    with (ROOT / "data" / "songs" / "songs.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if all(row[name] for name in SONG)]
    whole = ("popularity", "key", "mode", "duration")
    picked = random.Random(4).sample(rows, count)
    return [{name: int(row[name]) if name in whole else float(row[name]) for name in SONG} for row in picked]


def faster(row, randomly):
    return row | {"tempo": min(row["tempo"] + randomly.uniform(10, 25), 249)}


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


def test_the_drifted_feature_comes_first_with_its_distributions(drifted, browser, scheme):
    page = browser.new_page(color_scheme=scheme, viewport={"width": 1200, "height": 900})
    problems = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)

    page.goto(f"{drifted.url}/dashboard")
    page.click("text=songs")

    first = page.locator(".features article").first
    assert first.locator("h3").inner_text().startswith("tempo")
    assert first.locator("rect").count() > 20
    assert "bpm" in first.inner_text()
    assert page.locator(".alert.open").count() >= 1
    assert problems == []
    if os.environ.get("PICTURES") and scheme == "light":
        page.screenshot(path=ROOT / "docs" / "pictures" / "dashboard.png")
    page.close()


def test_pages_fit_a_phone(drifted, browser):
    page = browser.new_page(viewport={"width": 360, "height": 740})

    for path in ("/dashboard", "/dashboard/songs", "/docs"):
        page.goto(drifted.url + path)

        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


def test_names_from_outside_cannot_become_markup(drifted, browser):
    evil = "<img src=x onerror=document.title='hacked'>"
    page = browser.new_page()

    page.goto(f"{drifted.url}/dashboard/{evil}")

    assert "hacked" not in page.title()
    assert page.locator("img[src=x]").count() == 0
    page.close()
