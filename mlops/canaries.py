"""A challenger that answers a share of the requests: begun, ended, and what it has answered so far. Light."""

from typing import Any

from mlops.services import Services
from utils.errors import ConflictError, UnavailableError
from utils.time import now


def begin(services: Services, model: str, version: str, share: float, *, by: str) -> dict[str, Any]:
    """Have a version answer a share of the requests; every web process follows within seconds.

    Parameters
    ----------
    share : float
        In (0, 1]; which requests, a hash of their id says.

    Raises
    ------
    NotFoundError, IntegrityError, OtherPackagesError
        If there is no such version, or it could not answer.
    ConflictError
        If it answers all requests already.
    UnavailableError
        If the model has no champion.
    """
    services.require(model)
    champion = services.registry.champion(model)
    if champion is None:
        raise UnavailableError(f"{model!r} has no champion yet, so there is nothing to share.")
    if champion == version:
        raise ConflictError(f"{model} {version} is the champion: it answers all requests already.")
    services.registry.load(model, version)
    services.rollouts.begin("canary", model, version, by=by, at=now(), share=share)
    return state(services, model)


def end(services: Services, model: str) -> dict[str, Any]:
    """Let the champion answer all requests again."""
    services.require(model)
    services.rollouts.end("canary", model)
    return state(services, model)


def state(services: Services, model: str) -> dict[str, Any]:
    """Return the canary, or None, and how many rows each version has answered since it began."""
    services.require(model)
    entry = services.rollouts.get("canary", model)
    rows: dict[str, int] = {}
    for hour in services.predictions.traffic(model, entry["at"]) if entry else ():
        rows[hour["version"]] = rows.get(hour["version"], 0) + hour["n_rows"]
    return {"model": model, "canary": entry, "rows": rows}
