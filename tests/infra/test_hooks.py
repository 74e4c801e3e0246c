"""The hooks, run by real shells against an `az` that answers as told."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.infra.bicep import INFRA, read

SHELLS = {"sh": "sh", "pwsh": "ps1"}
AZ = """#!/bin/sh
echo "$*" >> "$AZ_LOG"
case "$*" in
"account show"*) [ "${AZ_SIGNED_IN:-yes}" = yes ] ;;
"provider show"*) echo "$AZ_PROVIDER" ;;
"deployment sub list"*) [ "${AZ_SIGNED_IN:-yes}" = yes ] && printf '%b' "${AZ_DEPLOYED:-}" ;;
"functionapp function show"*) [ "$(grep -c 'function show' "$AZ_LOG")" -ge "$AZ_LISTED_AT" ] ;;
*) exit "${AZ_FAILS:-0}" ;;
esac
"""
AZD = """#!/bin/sh
[ "$*" = "env get-values --no-prompt" ] && printf '%b' "${AZD_VALUES:-}"
"""
VAULT = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-orders"
ACCOUNT = "/subscriptions/sub/resourcegroups/rg/providers/Microsoft.Storage/storageAccounts/storders"
BATCH = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Batch/batchAccounts/orders"
PUBSUB = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.SignalRService/WebPubSub/orders"
TOPIC = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.EventGrid/systemTopics/orders"

NEWEST = (
    "max_by([?properties.parameters.vaultIds && properties.parameters.environmentName.value == 'one'], "
    "&properties.timestamp).properties.parameters.[vaultIds.value, accountIds.value]"
)
"""What the newest deployment of an environment was given; by this template, as others know environments, too."""


class Hook:
    """Runs a hook and remembers what it asked `az`."""

    def __init__(self, name: str, shell: str, place: Path, **environment: str) -> None:
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        self._command = (shell, str(INFRA / f"hooks/{name}.{SHELLS[shell]}"))
        self._log = place / "az.log"
        tools = place / "bin"
        tools.mkdir()
        for tool, script in {"az": AZ, "azd": AZD}.items():
            (tools / tool).write_text(script)
            (tools / tool).chmod(0o755)
        self._environment = {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(place),
            "AZ_LOG": str(self._log),
            "AZ_LISTED_AT": "1",
            "AZURE_SUBSCRIPTION_ID": "sub",
            "AZURE_ENV_NAME": "one",
            "AZURE_RESOURCE_GROUP": "rg-one",
            "AZURE_LOCATION": "westeurope",
            "SERVICE_ROTATION_NAME": "func-one",
            "SERVICE_ROTATION_ID": "/subscriptions/sub/app",
            "HOST_STORAGE_ID": "/subscriptions/sub/storage",
            "EVENT_ROUTE": "function",
            "EVENT_TOPIC_IDS": "/subscriptions/sub/one,/subscriptions/sub/two",
            "EVENT_SECRET_PREFIX": "",
            "EVENT_PAUSE": "0",
            "EVENT_ATTEMPTS": "5",
            **environment,
        }

    def __call__(self, **environment: str) -> tuple[int, str, list[str]]:
        """The exit code, what was said, and the calls of `az`."""
        self._log.write_text("")
        done = subprocess.run(  # noqa: S603  our own script
            self._command, env={**self._environment, **environment}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr, self._log.read_text().splitlines()


@pytest.fixture(params=SHELLS)
def hook(request: pytest.FixtureRequest, tmp_path: Path) -> Hook:
    """The hook of the second phase, for one shell."""
    return Hook("postdeploy", request.param, tmp_path)


@pytest.fixture(params=SHELLS)
def before(request: pytest.FixtureRequest, tmp_path: Path) -> Hook:
    """The hook before anything is deployed, where a vault is given."""
    return Hook("preprovision", request.param, tmp_path, ROTATION_VAULT_IDS=VAULT)


@pytest.fixture(params=SHELLS)
def down(request: pytest.FixtureRequest, tmp_path: Path) -> Hook:
    """The hook before everything is deleted."""
    return Hook("predown", request.param, tmp_path)


def test_it_waits_for_the_function_and_subscribes_it(hook: Hook) -> None:
    """Azure lists a function some time after it was deployed."""
    code, said, calls = hook(AZ_LISTED_AT="3")

    assert 0 == code, said
    assert 3 == sum("function show" in call for call in calls)
    assert calls[-1].startswith("deployment sub create ")
    for told in (
        "--template-file subscriptions.bicep",
        "topicIds=/subscriptions/sub/one,/subscriptions/sub/two",
        "appId=/subscriptions/sub/app",
        "storageId=/subscriptions/sub/storage",
    ):
        assert told in calls[-1]


def test_it_can_be_run_again(hook: Hook) -> None:
    """The second run asks for the same."""
    assert hook() == hook()


def test_a_function_that_never_comes_is_told_with_the_way_out(hook: Hook) -> None:
    """Nothing is deployed, and azd sees the failure."""
    code, said, calls = hook(AZ_LISTED_AT="99")

    assert 1 == code
    assert "azd hooks run postdeploy" in said
    assert ["account", *["functionapp"] * 5] == [call.partition(" ")[0] for call in calls]


def test_without_a_sign_in_it_says_so_at_once(hook: Hook) -> None:
    """Azd has a sign-in of its own, so that this is the usual mistake; ten minutes of waiting would not mend it."""
    code, said, calls = hook(AZ_SIGNED_IN="no")

    assert 1 == code
    assert "az login" in said
    assert ["account show --subscription sub --output none"] == calls


def test_a_deployment_that_fails_fails_the_hook(hook: Hook) -> None:
    """Otherwise a vault would be without events and nobody would know."""
    code, said, _ = hook(AZ_FAILS="7")

    assert 7 == code
    assert "subscribed" not in said


@pytest.mark.parametrize("told", [{"EVENT_ROUTE": "queue"}, {"EVENT_TOPIC_IDS": ""}], ids=["queue", "no vault"])
def test_where_nothing_is_to_be_done_nothing_is_asked(hook: Hook, told: dict[str, str]) -> None:
    """The route through the queue is deployed in the first phase."""
    code, said, calls = hook(**told)

    assert (0, []) == (code, calls)
    assert said.startswith("events: ")


def test_a_private_network_has_its_provider_registered(before: Hook) -> None:
    """No resource of that provider is made, so that no deployment registers it; what is registered is left alone."""
    code, said, calls = before(PRIVATE_NETWORK="true", AZ_PROVIDER="NotRegistered")
    assert 0 == code, said
    assert "provider register --namespace Microsoft.App --subscription sub --wait" == calls[-1]

    code, said, calls = before(PRIVATE_NETWORK="true", AZ_PROVIDER="Registered")
    assert 0 == code, said
    assert ["account", "provider show"] == [re.split(r" (?:show --sub|--)", call)[0] for call in calls]


def test_a_provider_that_may_not_be_registered_is_told_with_the_way_out(before: Hook) -> None:
    """The deployment would fail late, and name a service association link."""
    code, said, _ = before(PRIVATE_NETWORK="true", AZ_PROVIDER="NotRegistered", AZ_FAILS="3")

    assert 1 == code
    assert "az provider register --namespace Microsoft.App --subscription sub --wait" in said


@pytest.mark.parametrize("told", [{"AZ_SIGNED_IN": "no"}, {"AZURE_SUBSCRIPTION_ID": ""}], ids=["nobody", "nowhere"])
def test_nothing_is_registered_for_nobody_and_nowhere(before: Hook, told: dict[str, str]) -> None:
    """Another subscription than that of the deployment would not help."""
    code, said, calls = before(PRIVATE_NETWORK="true", AZ_PROVIDER="NotRegistered", **told)

    assert 1 == code
    assert "az login" in said or "azd env set AZURE_SUBSCRIPTION_ID" in said
    assert [] == [call for call in calls if call.startswith("provider")]


@pytest.mark.parametrize("told", ["", "false", "False", "FALSE", "0"])
def test_without_a_private_network_nothing_is_registered(before: Hook, told: str) -> None:
    """Neither is anybody asked to sign in; azd knows more than one word for it."""
    assert (0, "", []) == before(PRIVATE_NETWORK=told)


@pytest.mark.parametrize(
    ("variable", "wrong"),
    [
        ("ROTATION_VAULT_IDS", "kv-orders"),
        ("ROTATION_VAULT_IDS", "/subscriptions/sub"),
        ("ROTATION_VAULT_IDS", f"{VAULT}/"),
        ("ROTATION_VAULT_IDS", f"{VAULT}/secrets/one"),
        ("ROTATION_VAULT_IDS", f"{VAULT} {VAULT}"),
        ("ROTATION_VAULT_IDS", f"{VAULT}\n{VAULT}"),
        ("ROTATION_VAULT_IDS", f"{VAULT} #"),
        ("ROTATION_VAULT_IDS", f"{VAULT};"),
        ("ROTATION_VAULT_IDS", f'{VAULT}"'),
        ("ROTATION_VAULT_IDS", f"\n{VAULT}"),
        ("ROTATION_VAULT_IDS", f"{VAULT}\n"),
        ("ROTATION_VAULT_IDS", VAULT.replace("/resourceGroups/", "/resourceGroups/my\n")),
        ("ROTATION_VAULT_IDS", VAULT.replace(VAULT.split("/")[2], "$SUB")),
        ("ROTATION_VAULT_IDS", f"id={VAULT}"),
        ("ROTATION_VAULT_IDS", ACCOUNT),
        ("ROTATION_VAULT_IDS", VAULT.replace("vaults", "managedHSMs")),
        ("ROTATION_ACCOUNT_IDS", VAULT),
        ("ROTATION_ACCOUNT_IDS", "storders"),
        ("ROTATION_ACCOUNT_IDS", f"{ACCOUNT}\n{BATCH}"),
        ("ROTATION_ACCOUNT_IDS", ACCOUNT.replace("Microsoft.Storage", "Microsoft.Batch")),
        ("ROTATION_ACCOUNT_IDS", PUBSUB.replace("WebPubSub", "signalR")),
        ("EVENT_SYSTEM_TOPICS", TOPIC),
        ("EVENT_SYSTEM_TOPICS", "kv-orders"),
        ("EVENT_SYSTEM_TOPICS", f"={TOPIC}"),
        ("EVENT_SYSTEM_TOPICS", f"kv-orders= {TOPIC}"),
        ("EVENT_SYSTEM_TOPICS", f"kv-orders={TOPIC.replace('systemTopics', 'topics')}"),
        ("EVENT_SYSTEM_TOPICS", f"kv-orders={TOPIC}/"),
    ],
)
def test_an_entry_that_the_template_would_misread_is_told(before: Hook, variable: str, wrong: str) -> None:
    """By the variable, the place in the list and the text; nothing is registered for a deployment that is refused."""
    right = {"ROTATION_VAULT_IDS": VAULT, "ROTATION_ACCOUNT_IDS": BATCH, "EVENT_SYSTEM_TOPICS": f"kv-one={TOPIC}"}
    code, said, calls = before(**{variable: f"{right[variable]},, {wrong} ,"}, PRIVATE_NETWORK="true")

    assert (1, []) == (code, calls)
    told, way_out = said.splitlines()
    assert told.startswith(f"ids: {variable}, entry 3: not ")
    assert told.rstrip().endswith(f": {wrong.replace(chr(10), ' ')}".rstrip())
    assert "azd env set" in way_out


def test_every_wrong_entry_is_told(before: Hook) -> None:
    """Of each list, so that nobody mends them one after another."""
    code, said, _ = before(ROTATION_VAULT_IDS="kv-one,kv-two", ROTATION_ACCOUNT_IDS="st", EVENT_SYSTEM_TOPICS="kv")

    assert 1 == code
    assert ["kv-one", "kv-two", "st", "kv"] == [line.rpartition(": ")[2] for line in said.splitlines()[:-1]]


def test_ids_are_ids_in_any_casing(before: Hook) -> None:
    """Azure does not tell them apart; blanks and commas too many are trimmed by the template."""
    given = {
        "ROTATION_VAULT_IDS": f"{VAULT}, {VAULT.upper()}, ",
        "ROTATION_ACCOUNT_IDS": f" {ACCOUNT},  {BATCH},{PUBSUB.lower()} ,,",
        "EVENT_SYSTEM_TOPICS": f"kv-one={TOPIC}, KV-TWO={TOPIC.upper()}",
    }

    assert (0, "", []) == before(**given)


@pytest.mark.parametrize("none", ["", " , "], ids=["nothing", "blanks"])
@pytest.mark.parametrize("demo", ["", "false", "False", "f", "0"])
def test_without_a_vault_nothing_is_deployed(before: Hook, none: str, demo: str) -> None:
    """The app would not begin; accounts alone are published nowhere."""
    code, said, calls = before(ROTATION_VAULT_IDS=none, ROTATION_ACCOUNT_IDS=ACCOUNT, DEMO=demo, PRIVATE_NETWORK="true")

    assert (1, []) == (code, calls)
    assert "azd env set ROTATION_VAULT_IDS" in said
    assert "azd env set DEMO true" in said


@pytest.mark.parametrize("demo", ["true", "True", "1"])
def test_the_demo_has_a_vault_of_its_own(before: Hook, demo: str) -> None:
    """Its accounts are its own, too; and a vault needs no accounts beside it, as they may be given by their group."""
    assert (0, "", []) == before(ROTATION_VAULT_IDS="", DEMO=demo)
    assert (0, "", []) == before(ROTATION_ACCOUNT_IDS="")


def test_a_setting_that_no_deployment_takes_is_told(before: Hook) -> None:
    """Nobody would hear otherwise that the overlap is the default; what the outputs say is not asked for."""
    outputs = 'ROTATION_VAULTS="kv-orders"\\nROTATION_LEASES="https://one"\\nROTATION_VAULT_IDS="/one"\\n'
    code, said, _ = before(AZD_VALUES=f'{outputs}ROTATION_OVERLAP="P15D"\\nROTATION_CONCURRENCY=4\\n')
    assert 1 == code
    assert ["DEPLOY_ROTATION_CONCURRENCY", "DEPLOY_ROTATION_OVERLAP"] == sorted(re.findall(r"DEPLOY_\w+", said))

    assert (0, "", []) == before(AZD_VALUES=f'{outputs}ROTATION_OVERLAP=""\\nDEPLOY_ROTATION_OVERLAP="P15D"\\n')


def test_both_shells_know_the_same_ids() -> None:
    """The one that is not installed here, too."""
    texts = [(INFRA / f"hooks/preprovision.{kind}").read_text().replace('\\"', '"') for kind in SHELLS.values()]
    patterns = {
        r"'([^'\n]*/subscriptions/\[[^'\n]+)'": 3,
        r"(?m)^ +'(.+ tells it)'": 3,
        r"(ROTATION_\([A-Z_|]+\))": 1,
        r"""["'](ids: (?:entries|no vault).+?)["'](?: >|\))""": 2,
    }
    for pattern, number in patterns.items():
        told = [re.findall(pattern, text) for text in texts]
        assert number == len(told[0]), pattern
        assert told[0] == told[1], pattern


@pytest.mark.parametrize(
    "missing",
    [
        "EVENT_ROUTE",
        "AZURE_SUBSCRIPTION_ID",
        "AZURE_RESOURCE_GROUP",
        "AZURE_LOCATION",
        "SERVICE_ROTATION_NAME",
        "SERVICE_ROTATION_ID",
        "HOST_STORAGE_ID",
    ],
)
def test_by_hand_it_says_how(hook: Hook, missing: str) -> None:
    """Who runs it without azd has none of the outputs."""
    code, said, calls = hook(**{missing: ""})

    assert code
    assert [] == calls
    assert "azd hooks run postdeploy" in said


@pytest.mark.parametrize("missing", ["AZURE_SUBSCRIPTION_ID", "AZURE_ENV_NAME"])
def test_without_a_deployment_nothing_is_deleted(down: Hook, missing: str) -> None:
    """No environment has the empty name, so that Azure would know of no ids."""
    code, said, calls = down(EXISTING_TARGETS="0", **{missing: ""})

    assert code
    assert [] == calls
    assert "azd down" in said


@pytest.mark.parametrize(
    "told",
    [
        {"EXISTING_TARGETS": "3"},
        {},
        {"EXISTING_TARGETS": "0", "ROTATION_VAULT_IDS": "/one"},
        {"EXISTING_TARGETS": "0", "ROTATION_ACCOUNT_IDS": "/one"},
    ],
    ids=["some", "nobody knows", "a vault that is on its way", "an account that is on its way"],
)
def test_what_was_there_before_is_not_deleted(down: Hook, told: dict[str, str]) -> None:
    """Azd deletes every resource group that a deployment has touched, those of the vaults and accounts too."""
    code, said, calls = down(**told)

    assert (1, []) == (code, calls)
    assert "docs/operations.md" in said


@pytest.mark.parametrize("deployed", ["/vault\\n/one,/two\\n", "\\n/one\\n", "/vault\\n\\n"])
def test_what_was_deployed_from_elsewhere_is_not_deleted(down: Hook, deployed: str) -> None:
    """The number here is of the last deployment from here, and azd deletes what the newest one touched."""
    code, said, _ = down(EXISTING_TARGETS="0", AZ_DEPLOYED=deployed)

    assert 1 == code
    assert "docs/operations.md" in said


def test_what_azure_does_not_tell_is_not_deleted(down: Hook) -> None:
    """The demo can wait until somebody has signed in."""
    code, said, _ = down(EXISTING_TARGETS="0", AZ_SIGNED_IN="no")

    assert 1 == code
    assert "az login" in said


def test_a_demo_may_be_deleted(down: Hook) -> None:
    """Everything it made is in its own resource group; the newest deployment of this environment was given no ids."""
    code, said, calls = down(EXISTING_TARGETS="0", AZ_DEPLOYED="\\n\\n")

    assert (0, "") == (code, said)
    (asked,) = calls
    assert f"deployment sub list --subscription sub --output tsv --query {NEWEST}" == asked
    assert set(re.findall(r"(\w+)\.value", asked)) <= read("main").parameters.keys()


def test_both_shells_ask_azure_the_same() -> None:
    """The one that is not installed here, too."""
    for kind in SHELLS.values():
        text = (INFRA / f"hooks/predown.{kind}").read_text()
        (query,) = re.findall(r'--query "(.+?)"', text)
        assert re.sub(r"\$(?:env:)?AZURE_ENV_NAME\b", "one", query) == NEWEST


def joined(kind: str, hook: str) -> str:
    """The text of a hook, each command in one line."""
    return re.sub(r"[`\\]\n\s*", "", (INFRA / f"hooks/{hook}.{kind}").read_text())


def asked(kind: str, hook: str) -> list[str]:
    """What a hook asks `az` and `azd`, in one spelling of variables."""
    calls = re.findall(r"""(?m)(?:^\s*|if ! |until |= |="\$\(|\{ )(azd? \w.+)$""", joined(kind, hook))
    plain = (re.split(r" 2>|;|\)\"|\)$", call)[0] for call in calls)
    return [re.sub(r"\$\{?(?:env:)?(\w+)(?::-\})?", r"$\1", call.replace('"', "")).strip() for call in plain]


@pytest.mark.parametrize("hook", ["preprovision", "predown", "postdeploy"])
def test_both_shells_do_the_same(hook: str) -> None:
    """The one that is not installed here, too."""
    assert asked("sh", hook)
    assert asked("sh", hook) == asked("ps1", hook)


@pytest.mark.parametrize("hook", ["preprovision", "predown", "postdeploy"])
def test_powershell_looks_at_what_each_command_said(hook: str) -> None:
    """It goes on by itself after one that failed, where sh stops."""
    text = joined("ps1", hook)
    looked = re.findall(r"(?m)^ *(?:\$\w+ = )?az .+\n *if \(\$LASTEXITCODE -\w\w 0\) \{[^}]*\b(?:exit|break)\b", text)
    assert len([call for call in asked("ps1", hook) if call.startswith("az ")]) == len(looked)
    # An older one takes what a command says on standard error for an error of its own, where that is thrown away.
    assert text.startswith("#requires -Version 7.2\n")
    assert "$ErrorActionPreference = 'Stop'\nSet-StrictMode -Version Latest\n" in text


DECIDING = {
    "preprovision": [
        """$settings = @(@($values) -match '^ROTATION_[A-Z_]*="?[^"]' -replace '=.*' -notmatch '^ROTATION_(VAULTS|""",
        "if ($settings) { exit 1 }",
        "    foreach ($entry in ($given -split ',').Trim(' ')) {",
        """        if ($entry -and ($entry -match '\\p{Cc}' -or $entry -notmatch "^$pattern`$")) {""",
        "            $script:bad = $true",
        "if ($bad) {",
        """azd env set NAME "ENTRY,ENTRY"')\n    exit 1\n}""",
        "azd env set DEMO true')\n    exit 1\n}",
        (
            "if ((-not $env:DEMO -or $env:DEMO -in 'false', 'f', '0') "
            "-and -not ($env:ROTATION_VAULT_IDS -replace '[,\\s]')) {"
        ),
        "if (-not $env:PRIVATE_NETWORK -or $env:PRIVATE_NETWORK -in 'false', 'f', '0') { exit 0 }",
        "if ($state -eq 'Registered') { exit 0 }",
    ],
    "predown": [
        "function Deny {\n    [Console]::Error.WriteLine(",
        (
            "    exit 1\n}\n\n"
            "if ($env:EXISTING_TARGETS -ne '0' -or $env:ROTATION_VAULT_IDS -or $env:ROTATION_ACCOUNT_IDS) { Deny }"
        ),
        "if (-join $ids -match '\\S') { Deny }",
    ],
    "postdeploy": [
        "if ($env:EVENT_ROUTE -ne 'function') {",
        "if (-not $env:EVENT_TOPIC_IDS) {",
        "    if ($LASTEXITCODE -eq 0) { break }\n    $attempts -= 1\n    if ($attempts -le 0) {",
    ],
}
"""What makes a hook go one way or the other."""


@pytest.mark.parametrize("hook", DECIDING)
def test_powershell_decides_as_it_should(hook: str) -> None:
    """CI runs it against the cases of sh; where it is not installed, nothing else notices a slip."""
    text = joined("ps1", hook)
    assert [] == [part for part in DECIDING[hook] if part not in text]
