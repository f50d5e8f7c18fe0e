"""The audit fails on a finding, and says that it was skipped where the list is out of reach."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FINDING = (
    '{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}]}'
)


def audit(tmp_path: Path, script: str) -> int:
    """Run the audit with a pip-audit that does what ``script`` says."""
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    code: int = runpy.run_path(str(ROOT / ".ci" / "audit.py"))["main"](program)
    return code


def test_a_finding_fails_and_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(tmp_path, f"echo '{FINDING}'; exit 1") == 1
    assert capsys.readouterr().out == "pip-audit: a 1 has CVE-1, fixed in 2\n"


def test_no_finding_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(tmp_path, """echo '{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}'""") == 0
    assert "none of 1 packages" in capsys.readouterr().out


def test_a_list_out_of_reach_is_skipped_aloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(tmp_path, "echo 'requests.exceptions.ConnectionError: no route' >&2; exit 1") == 0
    assert "SKIPPED" in capsys.readouterr().out


def test_a_pip_audit_that_breaks_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(tmp_path, "echo 'unrecognized arguments' >&2; exit 2") == 1
    assert "unrecognized arguments" in capsys.readouterr().out
