"""What the providers render is read back, by us and by the services' own clients."""

import json
from typing import Any, cast

import jwt
from azure.messaging.webpubsubservice import WebPubSubServiceClient
from azure.storage.blob import BlobServiceClient
from hypothesis import given
from hypothesis import strategies as st

from rotation.clock import SystemClock
from rotation.cloud.clouds import CLOUDS
from rotation.cloud.connection import Connection
from rotation.formats import recognise, rekey
from rotation.model import AccountId, Format, Sensitive
from rotation.ports import Description, Provider
from rotation.providers import all_providers
from tests.properties.strategies import keys

# Rendering sends nothing, so it needs neither a credential nor a session.
NOBODY = cast("Any", None)
UNCONNECTED = Connection(CLOUDS["AzureCloud"], SystemClock(), NOBODY, NOBODY)
PROVIDERS = tuple(all_providers(UNCONNECTED, frozenset()))
HOSTS = {
    "storageAccounts": (
        "https://{}.blob.core.windows.net",
        "https://{}.blob.core.chinacloudapi.cn",
        "https://{}.z12.blob.storage.azure.net",
    ),
    "batchAccounts": ("https://{}.westeurope.batch.azure.com",),
    "webPubSub": ("https://{}.webpubsub.azure.com", "https://{}.webpubsub.azure.us"),
}
names = st.from_regex(r"[a-z][a-z0-9]{2,20}", fullmatch=True)


@st.composite
def rendered(draw: st.DrawFn) -> tuple[Provider, Format, str, str, str, str]:
    """A value that one of the providers made: with its provider, format, account, endpoint and key."""
    provider = draw(st.sampled_from(PROVIDERS))
    form = draw(st.sampled_from(sorted(provider.formats)))
    name, key = draw(names), draw(keys)
    endpoint = draw(st.sampled_from(HOSTS[provider.resource_type.split("/")[1]])).format(name)
    account = AccountId.parse(
        f"/subscriptions/{draw(st.uuids())}/resourceGroups/rg/providers/{provider.resource_type}/{name}"
    )
    value = provider.render(Description(account, endpoint), Sensitive(key), form)
    return provider, form, name, endpoint, key, value.reveal()


@given(rendered(), keys)
def test_a_rendered_value_is_recognised(made: tuple[Provider, Format, str, str, str, str], other: str) -> None:
    """Its format, its key and its owner, also after another key was put into it."""
    _, form, name, endpoint, key, value = made
    found = recognise(Sensitive(value))
    moved = recognise(rekey(Sensitive(value), Sensitive(other)))

    assert (form, Sensitive(key)) == (found.format, found.key)
    assert (form, Sensitive(other), found.owner) == (moved.format, moved.key, moved.owner)
    assert form is Format.KEY or found.owner in (name, endpoint.removeprefix("https://"))


@given(rendered())
def test_a_rendered_value_is_understood_by_the_clients(made: tuple[Provider, Format, str, str, str, str]) -> None:
    """A connection string is parsed by the service's own client, a document says how to connect."""
    provider, form, name, endpoint, key, value = made
    if form is Format.JSON:
        assert {"account": name, "endpoint": endpoint, "key": key} == json.loads(value)
    elif form is Format.CONNECTION_STRING and "Storage" in provider.resource_type:
        with BlobServiceClient.from_connection_string(value) as storage:
            assert (endpoint, name) == (storage.url.rstrip("/"), storage.account_name)
            assert key == storage.credential.account_key
    elif form is Format.CONNECTION_STRING:
        with WebPubSubServiceClient.from_connection_string(value, hub="hub") as service:
            token = service.get_client_access_token()
        assert token["baseUrl"].startswith(endpoint.replace("https://", "wss://"))
        assert jwt.decode(token["token"], key, algorithms=["HS256"], options={"verify_aud": False})
    else:
        assert key == value
