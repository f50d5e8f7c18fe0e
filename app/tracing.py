"""Traces (W3C trace context) to an OpenTelemetry collector; nothing is loaded where no collector is set.

A span a request, with route, method and status: no path, no values. What a span needs is made in the worker,
after fork, as its exporter has a thread.
"""

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, request

from utils import logs
from utils.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
TRACES = "/v1/traces"
FIRST_FAULT = 500


def init_app(app: Flask, settings: Settings) -> None:
    """Trace the requests of this app, where a collector is set."""
    if settings.otel_exporter_otlp_endpoint is not None:
        app.wsgi_app = Tracing(app.wsgi_app, settings)  # type: ignore[method-assign]


class Tracing:
    """A WSGI app around another one."""

    def __init__(self, app: Wsgi, settings: Settings) -> None:
        import opentelemetry.sdk.trace  # noqa: F401  in the master, for all workers

        self._app = app
        self._settings = settings
        self._lock = threading.Lock()
        self._tracer: Tracer | None = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request within a span that goes on with the caller's trace."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {"traceparent": environ.get("HTTP_TRACEPARENT", "")}
        parent = TraceContextTextMapPropagator().extract(carrier)
        method = environ["REQUEST_METHOD"]
        with self._own_tracer().start_as_current_span(method, parent, SpanKind.SERVER) as span:
            logs.trace_id.set(f"{span.get_span_context().trace_id:032x}")

            def start(status: str, headers: list[tuple[str, str]], error: Any = None) -> Any:
                self._describe(span, method, status)
                return start_response(status, headers, error)

            return self._app(environ, start)

    def _describe(self, span: Any, method: str, status: str) -> None:
        from opentelemetry.trace import StatusCode

        route = "" if request.url_rule is None else request.url_rule.rule
        span.update_name(f"{method} {route}".strip())
        span.set_attribute("http.request.method", method)
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", int(status[:3]))
        span.set_attribute("vigia.request_id", logs.request_id.get() or "")
        if int(status[:3]) >= FIRST_FAULT:
            span.set_status(StatusCode.ERROR)

    def _own_tracer(self) -> "Tracer":
        with self._lock:
            if self._tracer is None:
                self._tracer = _tracer(self._settings)
            return self._tracer


def _tracer(settings: Settings) -> "Tracer":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    endpoint = str(settings.otel_exporter_otlp_endpoint).rstrip("/")
    endpoint = endpoint if endpoint.endswith(TRACES) else endpoint + TRACES
    provider = TracerProvider(resource=Resource.create({"service.name": settings.otel_service_name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return provider.get_tracer("vigia")
