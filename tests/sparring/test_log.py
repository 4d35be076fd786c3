"""Logs and telemetry hold numbers and names, never what a row or a model says."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from sparring import log, telemetry
from sparring.errors import MissingExtra
from sparring.log import Log
from sparring.store import open_run


def shingles(text: str, n: int = 3) -> set[str]:
    words = text.split()
    return {" ".join(words[i : i + n]) for i in range(len(words) - n + 1)}


@pytest.fixture
def measured(monkeypatch):
    """Real OpenTelemetry providers that keep in memory what they would send."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, metrics, tracers = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    made = telemetry.Instruments(tracers, MeterProvider([metrics]))
    monkeypatch.setattr(telemetry, "instruments", lambda: made)
    return spans, metrics


def test_a_run_is_logged_and_measured_and_neither_holds_a_text(tiny_job, spar, measured):
    spans, metrics = measured
    folder = spar(tiny_job(synth={"model": {"kind": "dummy"}, "samples": 16}))
    lines = log.read(folder)
    assert [lines[0]["event"], lines[-1]["event"]] == ["started", "ended"]
    commits = len(list((folder / "commits").glob("*.json")))
    assert sum(line["event"] == "unit" for line in lines) == commits
    assert {"synth", "attack-train", "payoff-0-1"} <= {line.get("stage") for line in lines}
    names = [span.name for span in spans.get_finished_spans()]
    assert (names.count("sparring.run"), names.count("sparring.unit")) == (1, commits)
    sent = json.loads(metrics.get_metrics_data().to_json())
    counted = {
        (metric["name"], point["attributes"].get("what")): point.get("value", point.get("count"))
        for metric in sent["resource_metrics"][0]["scope_metrics"][0]["metrics"]
        for point in metric["data"]["data_points"]
    }
    costs = json.loads((folder / "summary.json").read_text())["costs"]
    assert counted["sparring.spent", "queries"] == costs["queries"] > 0
    assert counted["sparring.spent", "written"] > 0

    texts = [row["text"] for path in folder.rglob("*.parquet") for row in pq.read_table(path).to_pylist() if row.get("text")]
    said = (folder / log.FILE).read_text() + json.dumps(sent) + "".join(span.to_json() for span in spans.get_finished_spans())
    assert len(texts) > 300
    assert not [s for text in texts for s in shingles(text) if s in said]


def test_words_stand_in_named_fields_only_and_no_sentence_in_any(tmp_path):
    Log(tmp_path).write("unit", {"text": "free prize", "unit": "round-00/part.parquet", "host": "call me now", "n": 3})
    (line,) = log.read(tmp_path)
    assert set(line) == {"time", "seconds", "process", "event", "unit", "n"}


def test_how_a_run_failed_is_logged_without_the_message(tmp_path):
    with pytest.raises(ValueError, match="secret"), open_run(tmp_path, {}):
        raise ValueError("secret row")
    assert {"event": "failed", "error": "ValueError", "code": 1}.items() <= log.read(tmp_path)[-1].items()
    assert "secret" not in (tmp_path / log.FILE).read_text()


def test_a_line_cut_by_a_kill_costs_itself_alone(tmp_path):
    Log(tmp_path).write("started")
    with open(tmp_path / log.FILE, "a") as file:
        file.write('{"event": "un')
    Log(tmp_path).write("ended")
    assert [line["event"] for line in log.read(tmp_path)] == ["started", "ended"]


def test_an_endpoint_without_the_extra_is_said_and_without_one_nothing_is_sent(monkeypatch):
    import sys

    monkeypatch.delenv(telemetry.ENDPOINT, raising=False)
    telemetry.start()
    monkeypatch.setenv(telemetry.ENDPOINT, "http://localhost:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sparring\[otel\]'"):
        telemetry.start()
