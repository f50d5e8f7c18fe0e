"""What deploy/ holds follows its schemas, and names metrics, commands and settings that there are."""

import json
import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from utils.settings import catalogue

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
NEWEST = kubernetes_validate.latest_version()


def manifests():
    files = sorted(KUBERNETES.glob("*.yaml"))
    documents = [(path.stem, one) for path in files for one in yaml.safe_load_all(path.read_text())]
    return [
        pytest.param(one, id=f"{stem}-{one['kind']}")
        for stem, one in documents
        if "kustomize" not in one["apiVersion"]
    ]


def of_kind(kind):
    return [param.values[0] for param in manifests() if param.values[0]["kind"] == kind]


@pytest.mark.parametrize("manifest", manifests())
def test_manifests_follow_the_schemas_of_kubernetes(manifest):
    kubernetes_validate.validate(manifest, NEWEST, strict=True)


def test_the_kustomization_names_every_manifest():
    named = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]

    assert set(named) == {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}


def containers():
    """Return all containers of all pods."""
    found = []
    for kind in ("StatefulSet", "Deployment", "Job"):
        for pod in (one["spec"]["template"]["spec"] for one in of_kind(kind)):
            found += [*pod["containers"], *pod.get("initContainers", ())]
    return found


def test_no_container_may_write_or_gain_rights():
    locked = [one["securityContext"] for one in containers()]

    assert len(locked) == 4
    assert all(one["readOnlyRootFilesystem"] and not one["allowPrivilegeEscalation"] for one in locked)


def test_pods_run_the_commands_of_the_procfile():
    procfile = (ROOT / "Procfile").read_text()
    commands = [" ".join(one["command"]) for one in containers() if "command" in one]

    assert commands and all(command in procfile for command in commands)


def test_the_settings_of_the_pods_are_settings():
    (config,) = of_kind("ConfigMap")

    assert set(config["data"]) <= {setting.variable for setting in catalogue()}


def test_probes_ask_what_the_service_answers():
    from app.health import PATHS

    asked = [
        one[probe]["httpGet"]["path"] for one in containers() for probe in one if probe.endswith("Probe")
    ]

    assert asked and {path.encode() for path in asked} <= PATHS


def metric_names():
    """Return the names of all metrics that the sources make, as Prometheus has them."""
    sources = [
        path.read_text() for path in ((ROOT / "app" / "meter.py"), *(ROOT / "mlops").glob("*gauges.py"))
    ]
    found = set(re.findall(r'(?:Counter|Gauge|Histogram)\(\s*"([a-z_]+)"', "".join(sources)))
    counters = {f"{name}_total" for name in found}
    return found | counters | {f"{name}_bucket" for name in found} | {"store_up"}


def names_in(expression):
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)', "", expression)
    return set(re.findall(r"\b[a-z]+_[a-z_]+\b", bare)) - {"histogram_quantile"}


def test_alert_rules_ask_for_metrics_that_there_are():
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    asked = set().union(*(names_in(rule["expr"]) for group in groups for rule in group["rules"]))

    assert asked and asked <= metric_names()


def test_the_grafana_board_asks_for_metrics_that_there_are():
    board = json.loads((DEPLOY / "grafana" / "vigia.json").read_text())
    asked = set().union(*(names_in(t["expr"]) for panel in board["panels"] for t in panel["targets"]))

    assert len(board["panels"]) == 12
    assert asked and asked <= metric_names()


def test_optional_services_of_the_compose_file_start_only_when_asked():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

    assert {name: one["profiles"] for name, one in services.items() if "profiles" in one} == {
        "prometheus": ["watch"],
        "grafana": ["watch"],
        "mlflow": ["mlflow"],
    }
