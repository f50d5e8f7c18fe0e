"""Versions side by side, where they come from, who was live when; challengers, experiments, trainings."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, render_template, request

from app.auth import needs
from app.context import services
from app.dashboard import blueprint
from app.dashboard.actions import CANARY_SHARES
from app.dashboard.language import t
from app.dashboard.sentences import said
from app.lifecycle import as_json
from mlops import canaries
from utils.errors import NotFoundError, UnavailableError
from utils.time import now

N_COLUMNS = 4
N_EXPERIMENTS, N_JOBS, N_REPORTS, N_METRICS = 8, 10, 12, 4


@blueprint.get("/<model>/versions")
@needs("admin")
def versions(model: str) -> str:
    """Show the versions of a model."""
    services().require(model)
    found: dict[str, Any] = {"versions": [], "history": [], "problem": None, "columns": []}
    try:
        found |= _found(model)
    except UnavailableError:
        found["problem"] = t("away")
    has_spec = model in services().specs
    return render_template(
        "versions.html", model=model, has_spec=has_spec, shares=CANARY_SHARES, at=now(), **found
    )


@blueprint.get("/<model>/jobs/<job_id>")
@needs("admin")
def job(model: str, job_id: str) -> Response:
    """Say in words how far a training is, and how it ended."""
    found = services().trainings.get(job_id)
    if found["model"] != model:
        raise NotFoundError(t("versions.no_job"))
    return as_json({"state": found["state"], "text": _said_of(found)})


def _said_of(job: Mapping[str, Any]) -> str:
    if job["result"]:
        return said(job["result"]["gate"]["sentence"])
    if job["problem"]:
        return said(job["problem"]["detail"])
    progress = job["progress"] or {}
    return f"{progress.get('n_done', 0)} / {progress['n_steps']}" if progress.get("n_steps") else "…"


def _found(model: str) -> dict[str, Any]:
    known, history = services().registry.versions(model), services().history.all(model)[::-1]
    experiments = services().experiments.list(model, N_EXPERIMENTS)
    return {
        "versions": known,
        "columns": _columns(known),
        "history": history,
        "jobs": services().training_jobs.list(model, N_JOBS),
        "shadow": services().rollouts.get("shadow", model),
        "reports": services().shadow_reports.list(model, N_REPORTS),
        "canary": canaries.state(services(), model),
        "experiments": experiments,
        "experiment": _experiment(experiments),
        "lineage": _lineage(model, known, history),
    }


def _experiment(experiments: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the experiment that was asked for, else the newest, with the names of what it measured."""
    asked = request.args.get("experiment")
    chosen = next((one for one in experiments if one["experiment"] == asked), next(iter(experiments), None))
    if chosen is None:
        return None
    names = next((list(one["metrics"]) for one in chosen["candidates"] if one["metrics"]), [])
    first = chosen["metric"]
    return chosen | {"names": [first, *(name for name in names if name != first)][:N_METRICS]}


def _lineage(
    model: str, known: Sequence[dict[str, Any]], history: Sequence[dict[str, Any]]
) -> dict[str, Any] | None:
    """Return where the version that was asked for comes from; None where none was, or it is damaged."""
    asked = request.args.get("lineage", "")
    if asked not in {one["version"] for one in known if "problem" not in one}:
        return None
    manifest = services().registry.manifest(model, asked)
    before = [one for one in history if one["at"] <= manifest.created_at and one["version"] != asked]
    spec = manifest.resolved_spec()
    return {
        "manifest": manifest,
        "pipeline": spec.pipeline,
        "parameters": spec.parameters,
        "beside": before[0]["version"] if before else None,
        "acts": [one for one in history if one["version"] == asked],
        "predictions": services().registry.learnt_from(model, asked),
    }


def _columns(known: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the versions to show side by side: those asked for, else the champion and the newest."""
    asked = request.args.getlist("v")
    chosen = [one for one in known if one["version"] in asked]
    if not chosen:
        champion = [one for one in known if one["is_champion"]]
        chosen = [*champion, *[one for one in known if not one["is_champion"]]]
    return [one for one in chosen if "problem" not in one][:N_COLUMNS]
