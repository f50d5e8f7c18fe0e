"""The pages in a real browser. With PICTURES=1 they become the pictures of the README and the docs."""

import csv
import io
import os
import random

import pytest

from tests.e2e.chromium import needs_browser
from tests.running import LOG, ROOT, SONG, run, wait_until

pytestmark = [pytest.mark.browser, needs_browser]

EVIL = "<img src=x onerror=document.title='hacked'>"
TABS = ("", "/drift", "/quality", "/predictions", "/versions", "/try", "/alerts")
PAGES = ("/dashboard", "/dashboard/alerts", *(f"/dashboard/songs{tab}" for tab in TABS))
PAGES += ("/dashboard/songs/versions?lineage=1",)


@pytest.fixture(scope="module")
def drifted(service, trained, tmp_path_factory):
    """A service that has seen 2,000 songs, faster than those of training, and labels of half of them."""
    from utils.mongo import connection

    randomly = random.Random(3)
    db = connection.connect(trained["MONGO_URI"], trained["MONGO_DB"])
    for name in (*LOG, "labels", "quality_reports"):
        db[name].delete_many({})
    _, answer = service.post("/predict", [faster(row, randomly) for row in songs(2_000)])
    wait_until(lambda: db["predictions"].count_documents({}) >= 2_000)
    connection.close(db)
    labels = [
        {"prediction_id": one["prediction_id"], "label": one["prediction"]} for one in answer["predictions"]
    ]
    assert service.post("/labels", labels[:1_000])[0] == 200
    status, report = service.post("/models/songs/monitor", b"")
    assert (status, report["drift"]) == (200, True)
    measured = run("mlops", "quality", "songs", STATE_DIR=tmp_path_factory.mktemp("quality"), **trained)
    assert measured.returncode in (0, 2), measured.stderr
    return service


def songs(count):
    with (ROOT / "data" / "songs" / "songs.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if all(row[name] for name in SONG)]
    whole = ("popularity", "key", "mode", "duration")
    picked = random.Random(4).sample(rows, count)
    return [{name: int(row[name]) if name in whole else float(row[name]) for name in SONG} for row in picked]


def one_prediction(service):
    """The page of a prediction that was logged."""
    rows = csv.DictReader(io.StringIO(service.get("/dashboard/songs/predictions.csv?window=24h")[1]))
    return f"/dashboard/songs/predictions/{next(rows)['prediction_id']}"


def faster(row, randomly):
    return row | {"tempo": min(row["tempo"] + randomly.uniform(10, 25), 249)}


def test_an_alert_leads_to_the_feature_and_its_rows(drifted, page):
    page.goto(f"{drifted.url}/dashboard")
    page.click("text=Look at tempo: how it moved")

    assert page.locator("#feature").inner_text().startswith("tempo")
    assert page.locator(".ranking tbody tr").first.locator("th").inner_text() == "tempo"
    assert page.locator(".detail rect").count() > 20
    page.click("text=Show me the rows")
    page.locator(".rows tbody a").first.click()
    assert "bpm" in page.locator("main").inner_text()


def test_a_prediction_is_explained_by_the_version_that_made_it(drifted, page):
    page.goto(drifted.url + one_prediction(drifted))

    told = page.locator("table.why tbody tr")

    assert told.count() == len(SONG)
    assert "By version 1" in page.locator("section", has=page.locator("#why")).last.inner_text()


def test_an_answer_of_a_version_that_is_gone_says_so(drifted, trained, page):
    from utils.mongo import connection

    db = connection.connect(trained["MONGO_URI"], trained["MONGO_DB"])
    path = one_prediction(drifted)
    prediction = {"_id": path.rsplit("/", 1)[1]}
    db["predictions"].update_one(prediction, {"$set": {"version": "999"}})
    try:
        page.goto(drifted.url + path)

        assert "Version 999 is no longer stored" in page.locator("main").inner_text()
    finally:
        db["predictions"].update_one(prediction, {"$set": {"version": "1"}})
        connection.close(db)


def test_a_threshold_is_tried_by_keyboard_and_has_an_address(drifted, page):
    page.goto(f"{drifted.url}/dashboard/songs/quality?threshold=0.5")
    before = page.locator("[data-said=n_right]").inner_text()

    page.locator("[data-thresholds] input").focus()
    page.keyboard.press("End")

    assert page.locator("[data-said=threshold]").inner_text() == "1"
    assert "threshold=1" in page.url
    assert int(page.locator("[data-said=n_right]").inner_text()) <= int(before)
    page.reload()
    assert page.locator("[data-said=threshold]").inner_text() == "1"


def test_a_threshold_is_tried_without_script(drifted, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{drifted.url}/dashboard/songs/quality?threshold=0")

    page.click("[data-thresholds] button")

    cells = [int(page.locator(f"[data-said={name}]").inner_text()) for name in ("n_spared", "n_missed")]
    assert cells == [0, 0]
    assert page.locator("#thresholds table").last.locator("tbody tr").count() == 11
    context.close()


def test_every_chart_has_its_table_and_can_be_taken_away(drifted, page):
    for path in (*PAGES, "/dashboard/songs/drift?feature=tempo"):
        page.goto(drifted.url + path)
        for chart in page.locator("svg.chart:not(.bare)").all():
            figure = chart.locator("xpath=ancestor::*[@data-export][1]")

            assert figure.locator("table tbody tr").count() > 0, path
            assert figure.locator(".exports button").all_inner_texts() == ["CSV", "PNG"], path


def test_a_label_is_given_by_hand(drifted, page):
    page.goto(f"{drifted.url}/dashboard/songs/predictions")
    page.locator(".rows tbody a").first.click()

    page.select_option("select[name=label]", "reggaeton")
    page.click("text=Save label")

    assert "Label stored: 1" in page.locator("#told").inner_text()
    prediction = drifted.get("/predictions/" + page.locator("code.id").inner_text())[1]
    assert prediction["label"] == 1


def test_trying_a_bad_row_names_the_field_and_a_good_one_is_answered(drifted, page):
    page.goto(f"{drifted.url}/dashboard/songs/try")
    page.fill("[data-name=tempo]", "400")

    page.click("[data-try-form] button")

    page.wait_for_selector("[data-result] .large")
    assert "tempo" in page.locator("[data-result]").inner_text()  # a warning: out of range
    assert "What moved the score" in page.locator("[data-result]").inner_text()
    assert "curl" in page.locator("[data-curl]").inner_text()
    page.fill("#pasted", "tempo\nfast")
    with page.expect_response(lambda answer: answer.status == 422):
        page.click("[data-try-text] button")
    page.wait_for_selector("[data-fault=tempo]:not(:empty)")


def test_versions_are_promoted_and_rolled_back_with_a_reason(drifted, page):
    page.goto(f"{drifted.url}/dashboard/songs/versions")
    assert page.locator(".versions thead").inner_text().count("live") == 1

    page.goto(f"{drifted.url}/dashboard/songs/alerts")
    page.locator("text=I look after it").first.click()

    assert "somebody looks after it" in page.locator("#told").inner_text()


def test_the_overview_reads_without_script(drifted, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()

    page.goto(f"{drifted.url}/dashboard")

    words = page.locator("main").inner_text()
    assert all(word in words for word in ("songs", "answers", "drift", "What to do", "none lost", "UTC"))
    context.close()


def test_pages_speak_spanish_by_preference_and_by_choice(drifted, browser):
    context = browser.new_context(locale="es-ES")
    page = context.new_page()

    page.goto(f"{drifted.url}/dashboard/songs/drift")

    assert page.locator("html").get_attribute("lang") == "es"
    assert "la mediana es" in page.locator("main").inner_text()
    page.click("text=English")
    page.goto(f"{drifted.url}/dashboard")
    assert page.locator("h1").inner_text() == "Models"
    context.close()


def test_a_bad_row_is_refused_in_spanish(drifted, browser):
    context = browser.new_context(locale="es-ES")
    page = context.new_page()
    page.goto(f"{drifted.url}/dashboard/songs/try")
    page.fill("[data-name=tempo]", "rápido")

    page.click("[data-try-form] button")

    page.wait_for_selector("[data-fault=tempo]:not(:empty)")
    assert "no es un número" in page.locator("[data-fault=tempo]").inner_text()
    assert "faltas en 1 de 1 filas" in page.locator("[data-result]").inner_text()
    context.close()


def test_times_are_local_with_utc_on_hover(drifted, browser):
    context = browser.new_context(timezone_id="America/Bogota", locale="en-GB")
    page = context.new_page()

    page.goto(f"{drifted.url}/dashboard/songs/predictions")

    first = page.locator(".rows time").first
    assert first.get_attribute("title").endswith("UTC")
    assert first.inner_text()[-5:] != first.get_attribute("title")[11:16]
    context.close()


def test_a_chart_is_downloaded_as_table_and_picture(drifted, page):
    page.goto(f"{drifted.url}/dashboard/songs/drift?feature=tempo")

    with page.expect_download() as table:
        page.locator(".detail .exports >> text=CSV").first.click()
    with page.expect_download() as picture:
        page.locator(".detail .exports >> text=PNG").first.click()

    assert "training" in table.value.path().read_text(encoding="utf-8-sig")
    assert picture.value.path().read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("light", 360), ("dark", 360)])
def test_nobody_is_shut_out(drifted, browser, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    # The tool itself is put in as a script, which pages do not allow.
    viewport = {"width": width, "height": 800}
    context = browser.new_context(color_scheme=scheme, viewport=viewport, bypass_csp=True, locale="en-GB")
    page = context.new_page()

    for path in (*PAGES, "/docs", "/dashboard/nothing", one_prediction(drifted)):
        page.goto(drifted.url + path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        found = Axe().run(page)

        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
    context.close()


def test_pages_fit_a_phone_and_are_light(drifted, browser):
    page = browser.new_page(viewport={"width": 360, "height": 740})
    sizes = []
    page.on("response", lambda answer: sizes.append(len(answer.body())) if answer.ok else None)

    for path in (*PAGES, "/docs", one_prediction(drifted)):
        sizes.clear()
        page.goto(drifted.url + path, wait_until="networkidle")

        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        assert sum(sizes) < 400_000, path
    page.close()


@pytest.mark.parametrize(
    "path",
    [
        "/{evil}",
        "/songs/drift?feature={evil}&window={evil}",
        "/songs/versions?failed={evil}",
        "/songs/predictions?id={evil}&subject={evil}",
    ],
)
def test_names_from_outside_cannot_become_markup(drifted, browser, path):
    page = browser.new_page()

    answer = page.goto(f"{drifted.url}/dashboard{path.format(evil=EVIL)}")

    assert answer.status in (200, 404)
    assert "hacked" not in page.title()
    assert page.locator("img[src=x]").count() == 0
    page.close()


def test_what_was_stored_cannot_become_markup(drifted, trained, page):
    from utils.mongo import connection
    from utils.mongo.alerts import AlertStore
    from utils.time import now

    db = connection.connect(trained["MONGO_URI"], trained["MONGO_DB"])
    content = {
        "check": "drift",
        "subject": EVIL,
        "sentence": EVIL,
        "text": [EVIL],
        "found": {"feature": EVIL},
    }
    AlertStore(db).open_or_touch("songs", f"drift/{EVIL}", content, now())
    try:
        for path in ("/dashboard", "/dashboard/songs", "/dashboard/songs/alerts", "/dashboard/songs/drift"):
            page.goto(drifted.url + path)

            assert page.locator("img[src=x]").count() == 0
            assert "hacked" not in page.title()
    finally:
        db["alerts"].delete_many({"key": f"drift/{EVIL}"})
        connection.close(db)


def test_a_search_is_downloaded(drifted):
    status, text = drifted.get("/dashboard/songs/predictions.csv?window=24h")

    rows = list(csv.DictReader(io.StringIO(text)))
    assert (status, len(rows) >= 2_000) == (200, True)
    assert {"prediction_id", "label", "tempo"} <= rows[0].keys()


def test_a_form_without_its_token_changes_nothing(drifted):
    answer = drifted.http.request(
        "POST", f"{drifted.url}/dashboard/songs/rollback", fields={"reason": "none"}
    )

    assert answer.status == 403


def test_the_demo_becomes_the_pictures(browser):
    url = os.environ.get("PICTURES_URL")
    if not os.environ.get("PICTURES") or url is None:
        pytest.skip("pictures are taken by PICTURES=1 PICTURES_URL=(of make demo)")
    shots = {
        "dashboard": "",
        "drift": "/songs/drift?window=14d&version=1&feature=tempo#feature",
        "quality": "/songs/quality",
        "try": "/songs/try",
    }
    page = browser.new_page(viewport={"width": 1200, "height": 900}, locale="en-GB")
    for name, path in shots.items():
        page.goto(f"{url}/dashboard{path}", wait_until="networkidle")
        if name == "try":
            page.click("[data-try-form] button")
            page.wait_for_selector("[data-result] .large")
        page.wait_for_load_state("networkidle")

        assert page.screenshot(path=ROOT / "docs" / "pictures" / f"{name}.png")
    page.close()
