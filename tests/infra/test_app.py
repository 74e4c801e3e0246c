"""The templates and the app: settings, names and code agree."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotation.settings import LEASE_CONTAINER, OF_DEPLOYMENT, SETTINGS
from tests.infra.bicep import INFRA, ROOT, every, read

APP = ast.parse((ROOT / "function_app.py").read_text())
FUNCTIONS = {node.name for node in APP.body if isinstance(node, ast.AsyncFunctionDef)}
QUEUE = next(
    ast.literal_eval(node.value)
    for node in APP.body
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "QUEUE"
)
HOST = ("AzureWebJobsStorage", "APPLICATIONINSIGHTS_", "FUNCTIONS_")
"""How settings of the platform begin."""
KNOWN = {setting.name: setting.default for setting in SETTINGS}


def app_settings() -> dict[str, Any]:
    """What the template sets, by name."""
    (app,) = read("modules/host").made("Microsoft.Web/sites")
    return {entry["name"]: entry["value"] for entry in app["properties"]["siteConfig"]["appSettings"]}


def sample() -> dict[str, str]:
    """What a person who runs the app by hand begins with."""
    values: dict[str, str] = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    return values


def test_the_template_sets_what_the_code_reads() -> None:
    """No setting is forgotten, and none is set that nobody reads."""
    ours = {name for name in KNOWN if not name.startswith(HOST)}

    assert ours == {name for name in app_settings() if not name.startswith(HOST)}
    assert ours == {name for name in sample() if not name.startswith(HOST)}


def test_the_sample_has_the_defaults() -> None:
    """Who copies it has changed nothing."""
    told = {name: text for name, text in sample().items() if KNOWN.get(name)}
    assert {name: KNOWN[name] for name in told} == told
    assert {name for name, default in KNOWN.items() if default} == told.keys()


def test_the_host_has_both_schedules() -> None:
    """It looks them up by itself and knows no default, so that the template has to."""
    for name in ("ROTATION_SCHEDULE", "ROTATION_AUDIT_SCHEDULE"):
        assert f"? '{KNOWN[name]}' :" in app_settings()[name]


def test_the_host_storage_is_opened_by_identity() -> None:
    """All parts of the connection are there, and no connection string."""
    parts = {name for name in app_settings() if name.startswith("AzureWebJobsStorage")}

    assert {
        f"AzureWebJobsStorage__{part}" for part in ("credential", "clientId", "blobServiceUri", "queueServiceUri")
    } == parts
    assert "managedidentity" == app_settings()["AzureWebJobsStorage__credential"]
    assert parts & KNOWN.keys() == {"AzureWebJobsStorage__blobServiceUri"}


def test_the_leases_of_operators_are_those_of_the_app() -> None:
    """The output that an operator copies is what the app is told."""
    assert app_settings()["ROTATION_LEASES"].strip("'").endswith(f"}}{LEASE_CONTAINER}")
    assert read("modules/storage").outputs["leases"] == app_settings()["ROTATION_LEASES"]


def test_the_queues_and_containers_are_those_of_the_code() -> None:
    """What the functions bind to is made before they run."""
    variables = read("modules/storage").variables

    assert [QUEUE, f"{QUEUE}-poison"] == variables["queueNames"]
    assert {LEASE_CONTAINER, "app-package", "event-dead-letters"} == {*variables["containerNames"]}


def test_the_host_logs_whatever_alerts_and_runbooks_ask_for() -> None:
    """No event of ours and no word of the host on a message that it gives up is sampled away or too quiet."""
    logging = json.loads((ROOT / "host.json").read_text())["logging"]

    assert {"default": "Information", "Azure.Core": "Warning"} == logging["logLevel"]
    sampled = {"isEnabled": True, "excludedTypes": "Request;Exception;Trace"}
    assert {"samplingSettings": sampled} == logging["applicationInsights"]


def test_a_message_is_tried_as_the_page_says() -> None:
    """How many at once, how often, how long after each other, and for how long."""
    told = json.loads((ROOT / "host.json").read_text())
    queues = told["extensions"]["queues"]
    page = (ROOT / "docs/functions.md").read_text()

    assert (5, "00:01:00", "00:30:00") == (
        queues["maxDequeueCount"],
        queues["visibilityTimeout"],
        told["functionTimeout"],
    )
    assert (
        f"up to {queues['batchSize'] + queues['newBatchThreshold']} messages at a time, tries a message five times "
        "with a minute in between, and ends an invocation after 30 minutes."
    ) in page


def test_events_go_to_what_there_is() -> None:
    """The function, the queue and the container that a subscription names exist."""
    text = read("modules/subscription").text

    assert {"near_expiry"} == {*re.findall(r"/functions/(\w+)", text)} <= FUNCTIONS
    assert [QUEUE] == re.findall(r"queueName: '([\w-]+)'", text)
    assert set(re.findall(r"blobContainerName: '([\w-]+)'", text)) <= {
        *read("modules/storage").variables["containerNames"]
    }


def test_events_are_those_that_the_app_reads() -> None:
    """Every kind that is subscribed to is understood, and every kind that is understood is subscribed to."""
    from rotation.events import EXPIRED, NEAR_EXPIRY  # noqa: PLC0415  only here

    (expiry,) = read("modules/subscription").made("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    (expired,) = read("modules/watch").made("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    assert [NEAR_EXPIRY, EXPIRED] == expiry["properties"]["filter"]["includedEventTypes"]
    assert [EXPIRED] == expired["properties"]["filter"]["includedEventTypes"]
    assert {"maxDeliveryAttempts", "eventTimeToLiveInMinutes"} == expiry["properties"]["retryPolicy"].keys()


def test_sign_in_leaves_event_grid_in() -> None:
    """Its webhook has a key of its own and no token."""
    (config,) = read("modules/host").made("Microsoft.Web/sites/config")
    assert "/runtime/webhooks/eventgrid" in config["properties"]["globalValidation"]["excludedPaths"]


def test_sign_in_is_asked_for_and_turned_off_again() -> None:
    """It is deployed without a client as well: a deployment takes nothing away that it does not mention."""
    host = read("modules/host")
    (config,) = host.made("Microsoft.Web/sites/config")
    assert "!empty(signInClientId)" == host.variables["signsIn"]
    assert "resource signIn 'Microsoft.Web/sites/config@2025-03-01' = {" in host.text
    assert {"enabled": "signsIn"} == config["properties"]["platform"]
    assert "signsIn" == config["properties"]["globalValidation"]["requireAuthentication"]
    assert (
        "signsIn ? 'Return401' : 'AllowAnonymous'"
        == (config["properties"]["globalValidation"]["unauthenticatedClientAction"])
    )
    assert "signsIn" == config["properties"]["identityProviders"]["azureActiveDirectory"]["enabled"]


def test_azd_is_new_enough() -> None:
    """An older one deploys what .funcignore names."""
    told = yaml.safe_load((ROOT / "azure.yaml").read_text())
    assert {"azd": ">= 1.20.0"} == told["requiredVersions"]


@pytest.mark.parametrize("name", [".gitignore", ".funcignore"])
def test_what_operators_leave_lying_about_goes_nowhere(name: str) -> None:
    """Manifests, variables, and the environments of azd."""
    ignored = {line.rstrip("/") for line in (ROOT / name).read_text().splitlines()}
    assert {"*.csv", "*.env", ".azure"} <= ignored


def test_azd_finds_the_app_that_the_template_made() -> None:
    """The tag is the name of the service, and its output is named after it."""
    services = yaml.safe_load((ROOT / "azure.yaml").read_text())["services"]

    assert {"rotation": {"project": ".", "language": "python", "host": "function"}} == services
    (app,) = read("modules/host").made("Microsoft.Web/sites")
    assert "union(tags, { 'azd-service-name': 'rotation' })" == app["tags"]
    assert "SERVICE_ROTATION_NAME" in read("main").outputs


def test_hooks_are_there_for_both_shells() -> None:
    """POSIX and PowerShell."""
    hooks = yaml.safe_load((ROOT / "azure.yaml").read_text())["hooks"]
    assert {"preprovision", "predown", "postdeploy"} == hooks.keys()
    for name, shells in hooks.items():
        # A hook that asks would wait for ever where nobody is.
        both = {"interactive": False, "continueOnError": False}
        assert {
            "posix": {"shell": "sh", "run": f"infra/hooks/{name}.sh", **both},
            "windows": {"shell": "pwsh", "run": f"infra/hooks/{name}.ps1", **both},
        } == shells
        assert all((ROOT / hook["run"]).is_file() for hook in shells.values())


def test_hooks_use_what_the_template_puts_out() -> None:
    """Every variable is an output, is set by azd itself, or has a default; every parameter of the template is given."""
    known = {*read("main").outputs, "AZURE_SUBSCRIPTION_ID", "EVENT_ATTEMPTS", "EVENT_PAUSE"}
    posix, windows = ((INFRA / f"hooks/postdeploy.{kind}").read_text() for kind in ("sh", "ps1"))

    parameters = (INFRA / "main.parameters.json").read_text()
    for kind in ("sh", "ps1"):
        stop = (INFRA / f"hooks/predown.{kind}").read_text()
        told = {"EXISTING_TARGETS", "ROTATION_VAULT_IDS", "ROTATION_ACCOUNT_IDS"}
        assert told | {"AZURE_ENV_NAME", "AZURE_SUBSCRIPTION_ID"} == (
            set(re.findall(r"(?:\$\{?|\$env:)([A-Z]+_[A-Z_]+)", stop))
        )
        assert all(name in read("main").outputs or f'"${{{name}=}}"' in parameters for name in told)
        start = (INFRA / f"hooks/preprovision.{kind}").read_text()
        lists = {"ROTATION_VAULT_IDS", "ROTATION_ACCOUNT_IDS", "EVENT_SYSTEM_TOPICS"}
        switches = {"PRIVATE_NETWORK", "DEMO"}
        assert {"AZURE_SUBSCRIPTION_ID", *lists, *switches} == set(
            re.findall(r"(?:\$\{?|\$env:)(DEMO\b|[A-Z]+_[A-Z_]+)", start)
        )
        assert all(f'"${{{name}=}}"' in parameters for name in lists)
        assert all(f'"${{{name}=false}}"' in parameters for name in switches)
    used = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", posix))
    assert used == set(re.findall(r"\$env:([A-Z_]+)", windows)) <= known
    for text in (posix, windows):
        assert read("subscriptions").parameters.keys() == set(re.findall(r'"(\w+)=\$', text))
        assert {"near_expiry"} == set(re.findall(r"--function-name (\w+)", text)) <= FUNCTIONS


def test_providers_that_no_deployment_registers_are_registered() -> None:
    """Azure registers those of the resources that it makes, and not that of a service which is let into a subnet."""
    made = {resource.type.partition("/")[0] for file in every() for resource in file.resources}
    (network,) = read("modules/network").made("Microsoft.Network/virtualNetworks")
    let_in = {
        delegation["properties"]["serviceName"].partition("/")[0]
        for subnet in network["properties"]["subnets"]
        for delegation in subnet["properties"].get("delegations", [])
    }

    assert let_in - made
    for kind in ("sh", "ps1"):
        text = (INFRA / f"hooks/preprovision.{kind}").read_text()
        assert let_in - made == set(re.findall(r"provider register --namespace ([\w.]+)", text))


def test_the_pipeline_passes_on_every_parameter() -> None:
    """A parameter that only works from somebody's machine would be lost with the next deployment."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    wanted = {re.split(r"[=}]", entry["value"].removeprefix("${"))[0] for entry in given.values()}
    jobs = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())["jobs"]

    assert {*wanted, "AZURE_SUBSCRIPTION_ID"} == jobs["deploy"]["env"].keys()


def test_what_a_shell_has_for_another_reason_is_deployed_by_nobody() -> None:
    """Azd takes from the shell what its environment lacks, and an operator has the app's settings there.

    The image of the .devcontainer says PYTHON_VERSION, down to the patch.
    """
    asked = set(re.findall(r"\$\{(\w+)", (INFRA / "main.parameters.json").read_text()))

    assert set() == asked & {*KNOWN, "PYTHON_VERSION"}
    assert {*OF_DEPLOYMENT} == {name for name in asked if name.startswith("ROTATION_")}


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_a_command_that_fails_fails_its_step(path: Path) -> None:
    """GitHub looks at the last command of a pipe only, unless it is told which shell it is."""
    workflow = yaml.safe_load(path.read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    piped = [step for step in steps if " | " in step]

    assert not piped or {"run": {"shell": "bash"}} == workflow.get("defaults")


def test_benchmarks_are_run_on_demand() -> None:
    """All of them, and not with every push."""
    (job,) = (
        job
        for job in yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
        if any("make bench" in step.get("run", "") for step in job["steps"])
    )
    assert "github.event_name == 'workflow_dispatch' && inputs.benchmarks" == job["if"]
    run = {found for step in job["steps"] for found in re.findall(r"^make ([\w-]+)", step.get("run", ""))}
    assert {"bench", "bench-start"} == run


def test_the_pipeline_runs_what_a_contributor_runs() -> None:
    """The commands of CI exist here."""
    steps = [
        step.get("run", "")
        for job in yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
        for step in job["steps"]
    ]
    targets = set(re.findall(r"^make ([\w-]+)", "\n".join(steps), re.MULTILINE))

    assert ".ci/run" in steps
    assert {"infra/hooks/*.sh", "infra/hooks/*.ps1"} == set(re.findall(r"infra/hooks/[\w.*]+", "\n".join(steps)))
    assert targets <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
