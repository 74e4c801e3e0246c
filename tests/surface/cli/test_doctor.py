"""`doctor`: what is in the way of a rotation, before one is due."""

import base64
import json
import os
import re
import uuid
from typing import Any

import pytest

from rotation import doctor
from simulator.client import ControlClient
from tests.surface.cli.command import Command
from tests.surface.cli.estates import BATCH, MICROSOFT_SQL, PUBSUB, STORAGE, STORAGE_ID, SUBSCRIPTION, managed


def checks(command: Command) -> dict[tuple[str, str], dict[str, Any]]:
    """The checks by subject and name."""
    return {(c["subject"], c["check"]): c for c in command("doctor", "--json").document["checks"]}


def test_a_healthy_estate_passes_every_check(command: Command) -> None:
    """Settings, sign-in, vaults, lease and accounts are looked at in this order, and nothing is wrong."""
    ran = command("doctor")
    found = checks(command)

    assert ran.code == 0
    questions = sum(c["result"] == "unknown" for c in found.values())
    assert f"nothing that can be seen is in the way of a rotation; {questions} questions are open" in ran.out
    assert [subject for subject, _ in found][:3] == ["settings", "sign-in", "sign-in"]
    assert {c["result"] for c in found.values()} == {"fine", "unknown"}
    assert {what for (subject, what) in found if subject == STORAGE} == {"read", "list keys", "rights", "data plane"}


def test_what_cannot_be_seen_is_said_so(command: Command) -> None:
    """Whether we may write to a vault shows only by writing, and no lease container is set."""
    unknown = {key for key, check in checks(command).items() if check["result"] == "unknown"}

    assert unknown == {("kv-billing", "write"), ("kv-orders", "write"), ("leases", "take")}


def test_nothing_is_changed(command: Command, simulator: ControlClient) -> None:
    """A doctor looks and does not touch."""
    simulator.clear_journal()

    command("doctor")

    sent = {(entry["method"], entry["path"].rpartition("/")[2]) for entry in simulator.journal()}
    assert {name for method, name in sent if method not in ("GET", "HEAD")} <= {"listKeys", "token"}


@pytest.mark.parametrize(
    ("action", "scope", "subject", "check"),
    [
        ("Microsoft.Storage/storageAccounts/regenerateKey/action", STORAGE, STORAGE, "rights"),
        ("Microsoft.Storage/storageAccounts/read", STORAGE, STORAGE, "read"),
        ("Microsoft.Batch/batchAccounts/listKeys/action", BATCH, BATCH, "list keys"),
        ("Microsoft.KeyVault/vaults/secrets/readMetadata/action", "kv-orders", "kv-orders", "list"),
        ("Microsoft.KeyVault/vaults/secrets/getSecret/action", "kv-orders", "kv-orders", "read"),
    ],
)
def test_a_missing_right_is_found_before_a_rotation_needs_it(  # noqa: PLR0913, PLR0917  # a row of the table
    command: Command, simulator: ControlClient, action: str, scope: str, subject: str, check: str
) -> None:
    """The check that fails names the action that is missing."""
    simulator.deny(action, scope)

    found = checks(command)[subject, check]

    assert found["result"] == "wrong"
    assert action.lower() in found["finding"].lower()
    assert command("doctor").code == 3


def test_the_promises_and_limits_are_told(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have to be those of the app, so a person compares them."""
    unlimited = command("doctor").row("✓ settings")
    monkeypatch.setenv("ROTATION_ACCOUNTS", f"{STORAGE_ID},{SUBSCRIPTION}/resourceGroups/rg-live")
    monkeypatch.setenv("ROTATION_OVERLAP", "P15D")
    limited = command("doctor").row("✓ settings")

    told = "2 vaults; any account; overlap P2D; grace PT15M; probe try; AzureCloud"
    assert unlimited.endswith(told)
    assert "accounts only of 2 scopes in ROTATION_ACCOUNTS; overlap P15D" in limited


def test_what_is_left_to_other_functions_is_no_complaint(command: Command, simulator: ControlClient) -> None:
    """A database in the same vault is rotated by whoever tagged it so."""
    simulator.add_secret("kv-orders", name="sql-password", tags=MICROSOFT_SQL)

    ran = command("doctor")

    assert ran.code == 0
    assert "it is left to them" in ran.row("✓ sql-orders tags")


def test_a_lock_is_found(command: Command, simulator: ControlClient) -> None:
    """A read-only lock would stop the rotation, and the way out is told."""
    simulator.change_account(PUBSUB, locked=True)

    ran = command("doctor")

    assert ran.code == 3
    assert "remove the lock" in ran.row(f"✗ {PUBSUB} list keys")


@pytest.mark.parametrize("account", [STORAGE, BATCH, PUBSUB])
def test_keys_that_are_switched_off_are_one_complaint(command: Command, simulator: ControlClient, account: str) -> None:
    """An account that does not accept keys has nothing to rotate, and nothing for a repair to mend."""
    simulator.change_account(account, shared_keys=False)

    ran = command("doctor")

    assert checks(command)[account, "read"]["result"] == "wrong"
    assert "does not accept keys" in ran.row(f"✗ {account}")
    assert "audit --repair" not in ran.out
    assert ran.out.endswith("\n1 to put right before rotations can go on\n")


def test_who_is_signed_in_is_told(command: Command) -> None:
    """The wrong identity or tenant is the first thing to look for where rights are missing."""
    row = command("doctor").row("✓ sign-in")

    app, tenant = re.search(r" as app (\S+) in tenant (\S+)$", row).groups()  # type: ignore[union-attr]  # it is there
    assert uuid.UUID(app) != uuid.UUID(tenant) == uuid.UUID(os.environ["AZURE_TENANT_ID"])


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"upn": "ann@contoso.com", "appid": "an-app", "tid": "a-tenant"}, "as ann@contoso.com in tenant a-tenant"),
        ({"oid": "an-object", "tid": "a-tenant"}, "as object an-object in tenant a-tenant"),
        ({"oid": "an-object"}, "there is a token"),
        ([], "there is a token"),
    ],
)
def test_a_person_is_told_from_an_app(claims: object, told: str) -> None:
    """People have a name, apps an id, and a token that says nothing is still one."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")

    assert doctor._bearer(f"header.{payload}.signature") == told
    assert doctor._bearer("opaque") == "there is a token"


def test_a_published_key_that_opens_nothing_is_found(command: Command, simulator: ControlClient) -> None:
    """The data plane is asked with what applications read."""
    simulator.regenerate(STORAGE, "key1")

    found = checks(command)[STORAGE, "data plane"]

    assert found["result"] == "wrong"
    assert "audit --repair" in found["finding"]


@pytest.mark.parametrize(("mode", "result"), [("try", "unknown"), ("required", "wrong"), ("off", "unknown")])
def test_a_data_plane_out_of_reach_matters_where_a_probe_is_required(
    command: Command, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, mode: str, result: str
) -> None:
    """What cannot be tried is known beforehand."""
    monkeypatch.setenv("ROTATION_PROBE", mode)
    simulator.fault(host=f"{STORAGE}.blob", path="", cut=True)

    assert checks(command)[STORAGE, "data plane"]["result"] == result


def test_a_vault_that_fails_for_a_while_is_transient(command: Command, simulator: ControlClient) -> None:
    """Waiting helps, so the exit code is 1 and the mark is a question."""
    simulator.fault(host="kv-billing", path="/secrets", status=429, retry_after=100)

    ran = command("doctor")

    assert ran.code == 1
    assert ran.row("? kv-billing list").startswith("? kv-billing list cannot list the secrets of kv-billing")
    assert ran.out.endswith("\n1 could not be looked at for now; look again later\n")


def test_tags_that_cannot_be_read_are_found(command: Command, simulator: ControlClient) -> None:
    """A secret that names no account and one whose terms contradict each other are named."""
    simulator.add_secret("kv-orders", name="lost", tags={"active-slot": "key1"})
    simulator.add_secret("kv-orders", **managed("hasty", PUBSUB, "Primary", tags={"validity-days": "2"}))

    found = checks(command)

    assert found["kv-orders/lost", "tags"]["result"] == "wrong"
    assert "raise validity-days" in found[PUBSUB, "tags"]["finding"]


def test_without_a_sign_in_nothing_else_is_looked_at(
    command: Command, simulator: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thing to put right is one complaint, not one per vault and account."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    simulator.clear_journal()

    ran = command("doctor")

    assert ran.code == 3
    complaint = ran.row("✗ sign-in Key Vault")
    assert "there is no identity to sign in with" in complaint
    assert "(EnvironmentCredential)" in complaint  # which ways were tried, by the names that Azure's documents use
    assert "kv-orders" not in ran.out
    assert simulator.journal() == []
