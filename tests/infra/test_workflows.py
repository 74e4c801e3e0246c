"""What the workflows do, step by step; their commands are run by a shell, with tools that note what they are told."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.bicep import FILES, INFRA, ROOT
from tests.integration.estates import SERVICES

TOOL = """#!/bin/sh
echo "$(basename "$0") $* $FILE" >> "$LOG"
case " $* $FILE " in *"$FAILS_ON"*) exit 3 ;; esac
"""
"""A tool that notes what it is told, and fails where it meets a word."""


def job(workflow: str, name: str) -> Any:
    """A job of a workflow."""
    return yaml.safe_load((ROOT / f".github/workflows/{workflow}.yml").read_text())["jobs"][name]


def run(script: str, folder: Path, *, fails_on: str = "no such word") -> tuple[int, set[tuple[str, ...]]]:
    """Run a step as GitHub does with `shell: bash`; tell its exit code and the calls of the tools."""
    for tool in ("az", "shellcheck", "pwsh"):
        (folder / tool).write_text(TOOL)
        (folder / tool).chmod(0o755)
    log = folder / "log"
    log.write_text("")
    done = subprocess.run(  # noqa: S603  a step of our own
        ("/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script),
        cwd=ROOT,
        env={
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "LOG": str(log),
            "FAILS_ON": fails_on,
            "FILE": "",
        },
        capture_output=True,
        check=False,
    )
    return done.returncode, {tuple(line.split()) for line in log.read_text().splitlines()}


def of(kind: str) -> set[str]:
    """The hooks of a kind, as seen from the root."""
    return {str(path.relative_to(ROOT)) for path in (INFRA / "hooks").glob(f"*.{kind}")}


def test_a_deployment_signs_in_without_a_secret_then_makes_the_app_then_brings_the_code() -> None:
    """GitHub gives a token only to who may write one; azd signs in as the Azure CLI only if told so."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())
    assert {"contents": "read", "id-token": "write"} == workflow["permissions"]
    deploy = job("deploy", "deploy")
    assert "permissions" not in deploy
    assert "${{ inputs.environment }}" == deploy["environment"]
    assert [
        "actions/checkout",
        "azure/setup-azd",
        "azure/login",
        "azd config set auth.useAzCliAuth true",
        "azd provision --no-prompt",
        "azd deploy --no-prompt",
    ] == [step.get("run") or step["uses"].partition("@")[0] for step in deploy["steps"]]
    (login,) = (step for step in deploy["steps"] if "azure/login" in step.get("uses", ""))
    assert {
        "client-id": "${{ vars.AZURE_CLIENT_ID }}",
        "tenant-id": "${{ vars.AZURE_TENANT_ID }}",
        "subscription-id": "${{ vars.AZURE_SUBSCRIPTION_ID }}",
    } == login["with"]
    assert set() == {key for step in deploy["steps"] for key in step} & {"if", "continue-on-error"}


def test_the_compiler_sees_every_template(tmp_path: Path) -> None:
    """Both phases are built, which takes their modules along, and each file is linted."""
    build, lint = (step["run"] for step in job("ci", "bicep")["steps"] if step.get("name") in ("Build", "Lint"))

    _, built = run(build, tmp_path)
    assert {
        ("az", "bicep", "build", "--file", f"infra/{stem}.bicep", "--stdout") for stem in ("main", "subscriptions")
    } == built
    _, linted = run(lint, tmp_path)
    assert {("az", "bicep", "lint", "--file", str(path.relative_to(ROOT))) for path in FILES} == linted


def test_ci_runs_the_strict_checks_and_then_the_tests() -> None:
    """With bash stopping at the first that fails."""
    script = (ROOT / ".ci/run").read_text()
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]

    assert script.startswith("#!/usr/bin/env bash\n")
    assert [
        "set -euo pipefail",
        'cd "$(dirname "$0")/.."',
        "make setup",
        ".venv/bin/python -c 'import azure_functions_runtime'",
        "test -e node_modules/.ready",
        "make lint",
        "make test",
    ] == commands


@pytest.mark.parametrize(("name", "tests"), [("test", ".ci/run"), ("pythons", "make test")])
def test_the_hooks_of_powershell_are_not_skipped_in_ci(tmp_path: Path, name: str, tests: str) -> None:
    """Their tests are skipped where there is none, and have never run there then."""
    steps = [step["run"] for step in job("ci", name)["steps"] if "run" in step]

    assert tests == steps[-1]
    (guard,) = steps[:-1]
    assert (0, {("pwsh", "--version")}) == run(guard, tmp_path)
    assert 0 != run(guard, tmp_path, fails_on="--version")[0]


def test_a_new_machine_has_what_a_contributor_needs() -> None:
    """What CONTRIBUTING.md says of the container."""
    told = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    features = {name.rpartition("/")[2].partition(":")[0] for name in told["features"]}

    assert {"node", "azure-cli", "azd", "powershell"} == features
    assert told["features"]["ghcr.io/devcontainers/features/azure-cli:1"] == {"installBicep": True}
    assert "A `.devcontainer` has Python, Node.js, azd, the Azure CLI with Bicep, and PowerShell." in (
        (ROOT / "CONTRIBUTING.md").read_text()
    )


def test_the_hooks_are_checked(tmp_path: Path) -> None:
    """Those of both shells."""
    (hooks,) = (step["run"] for step in job("ci", "bicep")["steps"] if step.get("name") == "The hooks")
    _, called = run(hooks, tmp_path)

    assert ("shellcheck", *sorted(of("sh"))) in called
    assert of("ps1") == {call[-1] for call in called if call[0] == "pwsh"}


def test_what_takes_too_long_for_every_change_is_proven_every_week() -> None:
    """Each command is one of the Makefile, and none may stop the others."""
    proof = job("proof", "proof")
    words = [word for target in proof["strategy"]["matrix"]["target"] for word in target.split()]
    asked = {word for word in words if "=" not in word}
    makefile = (ROOT / "Makefile").read_text()

    assert {"prove-full", "mutants", "mutate", "soak", "setup", "check", "audit"} == asked
    assert {"SECURITY_TIMES=20", *(f"SERVICE={service}" for service in SERVICES)} <= set(words)
    assert asked <= set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    assert proof["strategy"]["fail-fast"] is False
    assert "make ${{ matrix.target }}" == proof["steps"][-1]["run"]


@pytest.mark.parametrize(
    ("step", "broken"),
    [
        ("Build", "infra/main.bicep"),
        ("Build", "infra/subscriptions.bicep"),
        ("Lint", "infra/main.bicep"),
        ("Lint", "infra/modules/roles.bicep"),
        ("The hooks", "infra/hooks/predown.sh"),
        ("The hooks", "infra/hooks/postdeploy.ps1"),
    ],
)
def test_what_is_broken_fails_its_step(tmp_path: Path, step: str, broken: str) -> None:
    """Also where it is not the last of a loop."""
    (script,) = (each["run"] for each in job("ci", "bicep")["steps"] if each.get("name") == step)
    assert 0 == run(script, tmp_path)[0]
    assert 3 == run(script, tmp_path, fails_on=broken)[0]
