"""One morning at the dashboard, in a real browser: from an alert to a version that has learnt anew."""

import random
import re
from datetime import timedelta

import pytest

from tests.e2e.chromium import needs_browser
from tests.e2e.small_model import SPEC, small_model
from tests.running import Service, wait_until
from utils.time import now

pytestmark = [pytest.mark.browser, needs_browser]
SHIFT = 3.0
# Otherwise the range is that of training, and whether few rows leave a new one takes many rows to tell.
WIDE = SPEC.replace("a: {type: number}", "a: {type: number, min: -50, max: 50}")


@pytest.fixture(scope="module")
def small(mongo_uri, tmp_path_factory):
    with small_model(mongo_uri, tmp_path_factory.mktemp("journey"), WIDE, n_rows=600, noise=0.5) as found:
        yield found


@pytest.fixture(scope="module")
def service(small, tmp_path_factory):
    with Service(tmp_path_factory.mktemp("state"), **small) as found:
        yield found.wait_until_ready()


def ask(service, small_db, n_rows, seed):
    """Rows of a world in which ``a`` is higher and the label depends on both; returns ids and labels."""
    drawn = random.Random(seed)
    rows = [{"a": drawn.gauss(SHIFT, 1), "b": drawn.gauss(0, 1)} for _ in range(n_rows)]
    before = small_db["predictions"].count_documents({})
    status, answer = service.post("/predict", rows)
    assert status == 200
    wait_until(lambda: small_db["predictions"].count_documents({}) == before + n_rows)
    labels = [int(row["a"] - SHIFT + row["b"] > 0) for row in rows]
    return [one["prediction_id"] for one in answer["predictions"]], labels


def told(page):
    """What the page says came of the last button."""
    return page.locator("#told").inner_text()


def test_from_a_drift_alert_to_its_end(service, small_db, page):
    ids, labels = ask(service, small_db, 1_200, 1)
    sent = [{"prediction_id": one, "label": label} for one, label in zip(ids, labels, strict=True)]
    status, answer = service.post("/labels", sent[1:])
    assert status == 200, answer

    page.goto(f"{service.url}/dashboard/small/drift")
    page.click("button:has-text('Check now')")
    assert "Checked: drift" in told(page)
    page.goto(f"{service.url}/dashboard")
    page.click("text=Look at a: how it moved")  # the alert leads to the feature
    assert page.locator("#feature").inner_text() == "a"
    page.click("text=Show me the rows")
    page.locator(".rows tbody a").first.click()
    assert page.locator("table.why tbody tr").count() == 2
    page.go_back()
    page.go_back()
    page.click("text=Retrain with the newest labels")
    page.fill("input[name=since]", f"{now() - timedelta(hours=1):%Y-%m-%dT%H:%M}")
    page.select_option("select[name=promote]", "never")
    with page.expect_navigation(url=re.compile(r"/versions$"), timeout=90_000):  # as soon as it is over
        page.click("button:has-text('Retrain now')")
        page.wait_for_selector("[data-progress]:has-text('held-out')", timeout=60_000)
    page.fill("form[action$='/promote'] input[name=reason]", "the world changed")
    page.click("button:has-text('Promote 2')")
    assert "Version 2 answers from now on" in told(page)
    assert "the world changed" in page.locator("section", has=page.locator("#history")).inner_text()

    wait_until(lambda: service.get("/models/small")[1]["version"] == "2")
    ask(service, small_db, 1_200, 2)
    for _ in range(3):  # an alert is over when three checks in a row found all well
        page.goto(f"{service.url}/dashboard/small/drift")
        page.click("button:has-text('Check now')")
        assert "no drift" in told(page)
    page.goto(f"{service.url}/dashboard/small/alerts")

    assert page.locator(".alert.open").all_inner_texts() == []
    assert "Drift of a" in page.locator(".alert.resolved").first.inner_text()


def test_challengers_are_begun_and_ended(service, page):
    page.goto(f"{service.url}/dashboard/small/versions?v=1&v=2")

    for button, said in (
        ("form[action$='/shadow'] button", "scores what comes in"),
        ("button:has-text('End the shadow')", "no shadow now"),
        ("form[action$='/canary'] button", "answers its share"),
        ("button:has-text('End the canary')", "answers all requests again"),
    ):
        page.locator(button).first.click()
        assert said in told(page)


def test_going_back_needs_a_reason(service, page):
    page.goto(f"{service.url}/dashboard/small/versions")
    page.click("button:has-text('Roll back now')")
    assert told(page) == ""  # the browser asks for the reason

    page.fill("form[action$='/rollback'] input[name=reason]", "a drill")
    page.click("button:has-text('Roll back now')")

    assert "Version 1 answers again" in told(page)
    assert "a drill" in page.locator("section", has=page.locator("#history")).inner_text()


def test_an_alert_is_silenced_and_acknowledged(service, small_db, page):
    wait_until(lambda: service.get("/models/small")[1]["version"] == "1")
    ask(service, small_db, 400, 3)
    page.goto(f"{service.url}/dashboard/small/drift")
    page.click("button:has-text('Check now')")
    page.goto(f"{service.url}/dashboard/small/alerts")

    page.select_option("select[name=hours]", "72")
    page.click("button:has-text('Silence')")
    assert "No reminders for 72 hours" in told(page)
    page.locator("text=I look after it").first.click()
    assert "somebody looks after it" in told(page)


def test_what_cannot_be_done_says_why_and_changes_nothing(service, page):
    page.goto(f"{service.url}/dashboard/small/versions")
    page.eval_on_selector("input[name=since]", "one => { one.type = 'text'; one.value = 'soon' }")

    page.click("button:has-text('Retrain now')")

    assert "This is no moment" in told(page)


def test_light_and_dark_are_chosen_by_hand_and_kept(service, page):
    page.goto(f"{service.url}/dashboard")
    before = page.evaluate("getComputedStyle(document.documentElement).colorScheme")

    page.click("[data-theme-switch]")
    page.reload()

    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") != before


def test_a_page_that_is_not_there_is_a_page(service, page):
    answer = page.goto(f"{service.url}/dashboard/nobody")

    assert answer.status == 404
    assert "No model is called 'nobody'" in page.locator("[role=alert]").inner_text()
    page.click("main >> text=Overview")
    assert page.locator("h1").inner_text() == "Models"
