"""OpenTelemetry traces and metrics of a run, for whoever has set it up; without it nothing is measured and nothing is sent.

The extra `otel` brings the library. A provider that stands in the process already is used; else `start` makes one where
OTEL_EXPORTER_OTLP_ENDPOINT says where to. Spans and metrics hold numbers and names of units and models, no content.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import MissingExtra

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Instruments:
    """The tracer and the counters of one pair of providers, the process's own unless they are given."""

    def __init__(self, tracers: Any = None, meters: Any = None):
        from opentelemetry import metrics, trace

        self.tracer = trace.get_tracer("sparring", tracer_provider=tracers)
        meter = metrics.get_meter("sparring", meter_provider=meters)
        self.units = meter.create_histogram("sparring.unit.duration", unit="s", description="Finished units of work")
        self.spent = meter.create_counter("sparring.spent", description="Queries, and tokens read and written by model")
        self.events = meter.create_counter("sparring.events", description="Lines of the log, by event")


def start() -> None:
    """Sends to the endpoint of the environment, if there is one. Raises `MissingExtra`."""
    if not os.environ.get(ENDPOINT):
        return
    try:
        from opentelemetry import metrics, trace
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise MissingExtra(f"Telemetry ({ENDPOINT} is set)", "opentelemetry-sdk", "otel") from None
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))


@functools.cache
def instruments() -> Instruments | None:
    try:
        return Instruments()
    except ImportError:
        return None


@contextlib.contextmanager
def span(name: str, **attributes: Any) -> Iterator[None]:
    if not (found := instruments()):
        yield
        return
    # An exception's text may repeat a user's row: its class is enough.
    with found.tracer.start_as_current_span(f"sparring.{name}", attributes=attributes, record_exception=False) as current:
        current.set_attribute("sparring.process", os.getpid())
        yield


def unit(seconds: float, path: str) -> None:
    if found := instruments():
        found.units.record(seconds, {"kind": path.split("/")[-1].split("-")[0].split(".")[0]})


def spent(counts: Mapping[str, float]) -> None:
    if found := instruments():
        for name, n in counts.items():
            what, _, model = name.partition(":")
            found.spent.add(max(0, n), {"what": what, **({"model": model} if model else {})})


def event(name: str) -> None:
    if found := instruments():
        found.events.add(1, {"event": name})
