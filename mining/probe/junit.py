"""A report as JUnit XML, which CI servers show: a suite for each functionality, a test for each case."""

from __future__ import annotations

import pathlib
import re
import xml.etree.ElementTree as ET

from .report import Outcome, Report

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # characters that XML 1.0 cannot hold


def write(report: Report, path: pathlib.Path) -> None:
    """Writes it; a reason why cases were skipped is one skipped test that says how many."""
    root = ET.Element("testsuites", name="sparring probe")
    for name in dict.fromkeys([g.name for g in report.functionalities] + [s.functionality for s in report.skipped]):
        outcomes = [o for o in report.outcomes if o.functionality == name]
        skipped = [s for s in report.skipped if s.functionality == name]
        counts = _counts(len(outcomes), _failures(outcomes), len(skipped))
        suite = ET.SubElement(root, "testsuite", {"name": name, **counts})
        about = ET.SubElement(suite, "properties")
        for key, value in (
            ("target", report.target),
            ("policy", f"{report.policy} {report.policy_version}"),
            ("suite", report.suite),
        ):
            ET.SubElement(about, "property", name=key, value=_clean(value))
        for outcome in outcomes:
            _test(suite, outcome, report.threshold)
        for number, skip in enumerate(skipped, 1):
            test = ET.SubElement(suite, "testcase", classname=f"probe.{name}", name=f"skipped {number}")
            ET.SubElement(test, "skipped", message=_clean(f"{skip.cases} cases: {skip.reason}"))
    for key, value in _counts(len(report.outcomes), _failures(report.outcomes), len(report.skipped)).items():
        root.set(key, value)
    ET.indent(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _test(suite: ET.Element, outcome: Outcome, threshold: float) -> None:
    place = outcome.clause or outcome.category
    test = ET.SubElement(suite, "testcase", classname=_clean(f"probe.{outcome.functionality}.{place}"), name=outcome.id)
    if not outcome.passed:
        said = f"expected {outcome.expected}, decided {outcome.decided}: score {outcome.score:.3f}, threshold {threshold:.3f}"
        ET.SubElement(test, "failure", message=_clean(said), type=outcome.expected).text = _clean(outcome.preview or "")


def _failures(outcomes: tuple[Outcome, ...] | list[Outcome]) -> int:
    return sum(not outcome.passed for outcome in outcomes)


def _counts(cases: int, failures: int, skipped: int) -> dict[str, str]:
    return {"tests": str(cases + skipped), "failures": str(failures), "errors": "0", "skipped": str(skipped)}


def _clean(text: str) -> str:
    return _NO_XML.sub("", text)
