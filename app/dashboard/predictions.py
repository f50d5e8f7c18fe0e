"""Predictions: search, one of them with its explanation and label, and downloads."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Response, render_template, request, stream_with_context

from app.auth import needs
from app.context import services
from app.dashboard import blueprint, periods
from app.dashboard.explanations import why
from app.dashboard.language import t
from utils.errors import NotFoundError, UnavailableError, VigiaError
from utils.mongo.predictions import Sought
from utils.time import now

PAGE = 50
MAX_DOWNLOAD = 100_000
FIXED = ("prediction_id", "at", "version", "request_id", "row", "prediction", "probability", "label",
         "warnings", "subject", "latency_ms", "served_by")  # fmt: skip
# A sheet takes what begins so for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class NoParquetError(VigiaError):
    """Parquet was asked for where its library is not installed."""

    status = 501
    code = "no_parquet"
    title = "No Parquet here"


@blueprint.get("/<model>/predictions")
@needs("admin")
def predictions(model: str) -> str:
    """Search the log of a model."""
    services().require(model)
    found: dict[str, Any] = {"rows": [], "labels": {}, "problem": None}
    try:
        found |= _page(model)
    except UnavailableError:
        found["problem"] = t("away")
    sought = request.args.to_dict()
    return render_template("predictions.html", model=model, sought=sought, at=now(), **found)


def _page(model: str) -> dict[str, Any]:
    if asked := request.args.get("id", "").strip():
        one = services().predictions.get(asked)
        rows = [one] if one is not None and one["model"] == model else []
    else:
        after = request.args.get("after") or None
        rows = services().predictions.search(model, sought(), PAGE + 1, after=after)
    labels = services().labels.for_predictions([row["_id"] for row in rows])
    more = rows[PAGE - 1]["_id"] if len(rows) > PAGE else None
    return {"rows": rows[:PAGE], "labels": labels, "more": more}


def sought() -> Sought:
    """Read what is looked for from the address; what is left empty does not matter."""
    given = {name: text.strip() for name, text in request.args.items() if text.strip()}
    is_timed = given.keys() & {"from", "to", "window"}
    window = periods.period(given, now(), "90d").window if is_timed else None
    return Sought(
        start=window.start if window else None,
        end=window.end if window else None,
        version=given.get("version"),
        subject=given.get("subject"),
        has_warnings="warnings" in given,
    )


@blueprint.get("/<model>/predictions/<prediction_id>")
@needs("admin")
def prediction(model: str, prediction_id: str) -> str:
    """Show one logged prediction."""
    services().require(model)
    found = services().predictions.get(prediction_id)
    if found is None or found["model"] != model:
        raise NotFoundError(t("prediction.none"))
    spec = services().spec_of(model)
    return render_template(
        "prediction.html",
        model=model,
        row=found,
        label=services().labels.get(prediction_id),
        features=dict(spec.features) if spec else {},
        classes=list(zip(spec.labels, spec.class_names, strict=True)) if spec else [],
        target=spec.target if spec else None,
        why=why(model, found),
        at=now(),
    )


@blueprint.get("/<model>/predictions.csv")
@needs("admin")
def predictions_csv(model: str) -> Response:
    """Download what a search finds as CSV."""
    services().require(model)
    names = _features(model)
    lines = stream_with_context(_csv_lines(names, _flat(model, names)))
    return Response(lines, content_type="text/csv; charset=utf-8", headers=_attached(model, "csv"))


@blueprint.get("/<model>/predictions.parquet")
@needs("admin")
def predictions_parquet(model: str) -> Response:
    """Download what a search finds as Parquet, where pyarrow is installed."""
    services().require(model)
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise NoParquetError(
            "Parquet needs pyarrow, which is not installed here. CSV needs nothing."
        ) from None
    rows = [{name: _cell(value) for name, value in row.items()} for row in _flat(model, _features(model))]
    columns = {name: _column(pa, [row[name] for row in rows]) for name in [*FIXED, *_features(model)]}
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content)
    kind = "application/vnd.apache.parquet"
    return Response(content.getvalue(), content_type=kind, headers=_attached(model, "parquet"))


def _column(pa: Any, values: list[Any]) -> Any:
    """Return a column; one of mixed types becomes text."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])


def _features(model: str) -> list[str]:
    spec = services().spec_of(model)
    return [name for name in (spec.features if spec else []) if name not in FIXED]


def _attached(model: str, ending: str) -> dict[str, str]:
    safe = "".join(c if c.isalnum() else "-" for c in model)
    return {"Content-Disposition": f'attachment; filename="{safe}-predictions.{ending}"'}


def _flat(model: str, names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield what a search finds, newest first, one flat row each, with labels."""
    batch: list[Mapping[str, Any]] = []
    store = services().predictions
    for row in store.each_sought(model, sought(), MAX_DOWNLOAD):
        batch.append(row)
        if len(batch) == 1_000:
            yield from _labelled(batch, names)
            batch = []
    yield from _labelled(batch, names)


def _labelled(batch: list[Mapping[str, Any]], names: list[str]) -> Iterator[dict[str, Any]]:
    labels = services().labels.for_predictions([row["_id"] for row in batch])
    for row in batch:
        fixed = {name: row.get(name) for name in FIXED}
        fixed |= {"prediction_id": row["_id"], "label": labels.get(row["_id"])}
        fixed["warnings"] = "; ".join(_warning(one) for one in row.get("warnings") or ()) or None
        yield fixed | {name: row["features"].get(name) for name in names}


def _warning(one: Any) -> str:
    return f"{one.get('feature', '')}: {one.get('detail', '')}" if isinstance(one, Mapping) else str(one)


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else value.isoformat()


def _csv_lines(names: list[str], rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*FIXED, *names])
    for row in rows:
        writer.writerow([_safe(_cell(value)) for value in row.values()])
        if text.tell() > 64_000:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
