"""Tokens: who gives them out, and who checks them."""

import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, DefaultAzureCredential, ManagedIdentityCredential
from azure.identity.aio import ClientSecretCredential as AioClientSecretCredential

from simulator.client import ControlClient
from tests.conformance.simulator.wire import MANAGEMENT, VAULT, send, token_for

TENANT = "72a1bd5c-1c9b-4e06-9d62-5f0a3c1f1e11"
CLIENT = "11111111-2222-3333-4444-555555555555"
LIST_SUBSCRIPTIONS = f"{MANAGEMENT}/subscriptions?api-version=2022-12-01"
LIST_SECRETS = "https://kv-orders.vault.azure.net/secrets?api-version=7.4"


def claims(token: str) -> dict[str, object]:
    """What a token says; clients read it without checking the signature."""
    told: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return told


def test_a_service_principal_signs_in(simulator: ControlClient) -> None:
    """The token names tenant, caller and audience, and is journalled as sign-in only."""
    with ClientSecretCredential(TENANT, CLIENT, "any secret will do") as credential:
        told = claims(credential.get_token("https://vault.azure.net/.default").token)

    assert (told["tid"], told["appid"], told["aud"]) == (TENANT, CLIENT, "https://vault.azure.net")
    assert simulator.journal() != []
    assert all(entry["sign_in"] for entry in simulator.journal())


async def test_a_service_principal_signs_in_with_an_aio_client(simulator: ControlClient) -> None:
    """The same for aio."""
    async with AioClientSecretCredential(TENANT, CLIENT, "any secret will do") as credential:
        told = claims((await credential.get_token(f"{MANAGEMENT}/.default")).token)

    assert told["aud"] == MANAGEMENT
    assert simulator.journal()[-1]["host"] == "login.microsoftonline.com"


@pytest.mark.parametrize("make", [ManagedIdentityCredential, DefaultAzureCredential])
@pytest.mark.usefixtures("simulator")
def test_a_managed_identity_signs_in(make: type[Any]) -> None:
    """App Service's endpoint is found through the environment; the identity is the one asked for."""
    with make() as credential:
        told = claims(credential.get_token(f"{MANAGEMENT}/.default").token)
    with ManagedIdentityCredential(client_id=CLIENT) as credential:
        chosen = claims(credential.get_token(f"{MANAGEMENT}/.default").token)

    assert told["aud"] == MANAGEMENT
    assert str(told["xms_mirid"]).startswith("/subscriptions/")
    assert chosen["appid"] == CLIENT
    assert chosen["oid"] != told["oid"]


def test_the_identity_endpoint_wants_its_header(simulator: ControlClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process on the machine that does not know the header gets no token."""
    monkeypatch.setenv("IDENTITY_HEADER", "WRONG")
    url = f"{simulator.url}/msi/token?{urlencode({'api-version': '2019-08-01', 'resource': VAULT})}"

    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(url):  # noqa: S310  # loopback
        pass
    refused.value.close()
    with ManagedIdentityCredential() as credential, pytest.raises(ClientAuthenticationError):
        credential.get_token(VAULT)

    assert refused.value.code == 401


@pytest.mark.parametrize("url", [LIST_SUBSCRIPTIONS, LIST_SECRETS], ids=["arm", "vault"])
@pytest.mark.parametrize("flaw", ["missing", "foreign", "wrong audience", "expired"])
def test_a_bad_token_is_refused(simulator: ControlClient, url: str, flaw: str) -> None:
    """401 with a challenge for a token that is missing, not ours, for someone else, or too old."""
    audience, other = (VAULT, MANAGEMENT) if "vault" in url else (MANAGEMENT, VAULT)
    if flaw == "expired":
        simulator.behave(token_seconds=1)
    token = {
        "missing": None,
        "foreign": jwt.encode({"aud": audience}, "x" * 32, algorithm="HS256"),
        "wrong audience": token_for(other),
        "expired": token_for(audience),
    }[flaw]
    if flaw == "expired":
        time.sleep(1.1)

    answer = send("GET", url, token=token)

    assert answer.status == 401
    assert ("expir" in answer.body.decode()) == (flaw == "expired")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization")
    assert TENANT in answer.headers["WWW-Authenticate"]


@pytest.mark.usefixtures("simulator")
def test_the_caller_sees_its_tenant_and_subscription() -> None:
    """What a login asks for after the token."""
    token = token_for(MANAGEMENT)

    subscriptions = send("GET", LIST_SUBSCRIPTIONS, token=token).json["value"]
    tenants = send("GET", f"{MANAGEMENT}/tenants?api-version=2022-12-01", token=token).json["value"]

    assert [subscription["tenantId"] for subscription in subscriptions] == [TENANT]
    assert [tenant["tenantId"] for tenant in tenants] == [TENANT]


@pytest.mark.parametrize(
    ("name", "management", "vault", "login"),
    [
        ("china", "management.chinacloudapi.cn", "vault.azure.cn", "login.chinacloudapi.cn"),
        ("usgov", "management.usgovcloudapi.net", "vault.usgovcloudapi.net", "login.microsoftonline.us"),
    ],
)
def test_sovereign_clouds_have_their_own_names(
    simulator: ControlClient, name: str, management: str, vault: str, login: str
) -> None:
    """Their authority, management host, vaults and audiences work; the public cloud's vaults are not there."""
    simulator.reset({"cloud": name, "vaults": [{"name": "kv-far", "secrets": [{"name": "a"}]}]})
    with ClientSecretCredential(TENANT, CLIENT, "x", authority=f"https://{login}") as credential:
        for_vault = credential.get_token(f"https://{vault}/.default").token
        for_arm = credential.get_token(f"https://{management}/.default").token

    assert send("GET", f"https://kv-far.{vault}/secrets?api-version=7.4", token=for_vault).status == 200
    assert send("GET", f"https://{management}/subscriptions?api-version=1", token=for_arm).status == 200
    with pytest.raises(urllib.error.URLError):
        send("GET", "https://kv-far.vault.azure.net/secrets?api-version=7.4", token=for_vault)
