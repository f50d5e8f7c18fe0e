"""Every example of the READMEs is run, and answers as it is printed there."""

import json
import re
import subprocess

import pytest

from tests.running import ROOT, Service, run

READMES = ["README.md", "README.es.md"]


def blocks(readme: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / readme).read_text(), re.S)


def shell(command: str, service: Service) -> dict:
    done = subprocess.run(
        ["bash", "-c", command.replace("http://127.0.0.1:8000", service.url).replace("curl ", "curl -sS ")],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def likeness(value: object) -> object:
    """Return what must be the same in the example and the answer: everything but ids and decimals."""
    if isinstance(value, dict):
        return {
            k: likeness(v) for k, v in value.items() if k not in ("request_id", "prediction_id", "version")
        }
    if isinstance(value, list):
        return [likeness(item) for item in value]
    return round(value, 2) if isinstance(value, float) else value


@pytest.mark.parametrize("readme", READMES)
def test_the_curl_of_the_readme_answers_as_printed(serve, readme):
    request, _ = (block for block in blocks(readme, "sh") if block.startswith("curl"))
    (printed,) = blocks(readme, "json")

    answer = shell(request, serve())

    assert likeness(answer) == likeness(json.loads(printed))


@pytest.mark.parametrize("readme", READMES)
def test_the_bad_row_of_the_readme_is_refused_with_the_place_of_each_fault(serve, readme):
    _, request = (block for block in blocks(readme, "sh") if block.startswith("curl"))

    answer = shell(request, serve())

    assert answer["status"] == 422
    assert ("#/tempo", "type") in [(fault["pointer"], fault["code"]) for fault in answer["errors"]]


def test_the_commands_of_the_readme_are_targets_of_the_makefile():
    targets = re.findall(r"^make (\w+)", blocks("README.md", "sh")[0], re.M)
    makefile = (ROOT / "Makefile").read_text()

    assert targets == ["run", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_a_model_of_ones_own_is_trained_and_served_as_the_readme_says(trained, serve, tmp_path):
    folder = tmp_path / "mymodels"
    folder.mkdir()
    (folder / "houses.yaml").write_text(blocks("README.md", "yaml")[0])
    rows = [
        f"{a},{a // 25 or ''},{k},{a * 1000 + 9_000 * i}"
        for a in range(20, 200)
        for i, k in enumerate(("flat", "house"))
    ]
    (folder / "houses.csv").write_text("\n".join(["area,rooms,kind,price", *rows]))

    done = run("model", "train", "houses", "--promote", **trained, MODELS_DIR=folder, STATE_DIR=tmp_path)
    service = serve(MODELS_DIR=folder)
    status, body = service.post("/models/houses/predict", {"area": 100, "rooms": 4, "kind": "flat"})

    assert done.returncode == 0, done.stderr
    assert status == 200
    assert body["predictions"][0]["prediction"] == pytest.approx(100_000, rel=0.1)


@pytest.mark.parametrize("readme", READMES)
def test_links_of_the_readme_lead_somewhere(readme):
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / readme).read_text())

    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []


def test_both_readmes_have_the_same_examples():
    for language in ("sh", "json", "yaml"):
        english, spanish = (blocks(readme, language) for readme in READMES)

        assert [re.sub(r"#.*", "", block) for block in english] == [
            re.sub(r"#.*", "", block) for block in spanish
        ]
