"""The one pool of connections, the one credential, and what becomes of their failures."""

import asyncio
import gc
import logging
import socket
import ssl
import time
import traceback
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.transport import AioHttpTransport, HttpRequest
from azure.identity import CredentialUnavailableError
from azure.identity.aio import ChainedTokenCredential

from rotation import telemetry
from rotation.clock import SystemClock
from rotation.cloud import connection as connected
from rotation.cloud import credential
from rotation.cloud.clouds import CHINA, PUBLIC, US_GOVERNMENT, Cloud
from rotation.cloud.connection import Connection, connect
from rotation.cloud.credential import SharedTokens
from rotation.cloud.rights import Rights
from rotation.cloud.translate import NoTokenError, SignInFailedError, translated
from rotation.cloud.transport import PacedTransport, Transport
from rotation.cloud.vault import KeyVault
from rotation.errors import (
    BadInput,
    CredentialUnavailable,
    LeaseLost,
    NotFound,
    RotationError,
    Throttled,
    Transient,
    Unavailable,
    Unexpected,
    Untrusted,
)
from rotation.model import AccountId
from rotation.providers import Providers, all_providers
from simulator.client import ControlClient
from tests.leases import HELD, LOST, Ending

STORAGE = "Microsoft.Storage/storageAccounts"
HOST = f"kv-orders.{PUBLIC.vault_suffix}"
GARBLED = '{"access_token": "x", "expires_on": "soon"}'


@pytest.fixture
async def connection(simulator: ControlClient) -> AsyncIterator[Connection]:
    """A connection to the default estate."""
    simulator.clear_journal()
    async with connect(PUBLIC, None, SystemClock()) as opened:
        yield opened


@pytest.fixture
def providers(connection: Connection) -> Providers:
    """All providers over it."""
    return all_providers(connection, frozenset())


def an_account(simulator: ControlClient, resource_type: str = STORAGE) -> AccountId:
    """The account of that type in the default estate."""
    ids = (AccountId.parse(account["id"]) for account in simulator.accounts())
    return next(id_ for id_ in ids if id_.resource_type == resource_type)


def tokens(simulator: ControlClient) -> int:
    """How many tokens were asked for."""
    return sum(entry["path"] == "/msi/token" for entry in simulator.journal())


async def test_nothing_is_sent_before_it_is_needed(simulator: ControlClient, providers: Providers) -> None:
    """A cold start that only queues a message must not sign in."""
    assert len(list(providers)) == 3
    assert [] == simulator.journal()


async def test_all_clients_share_one_token(
    simulator: ControlClient, connection: Connection, providers: Providers
) -> None:
    """However many subscriptions, services and vaults want one at the same time, there is one for each audience."""
    accounts = [AccountId.parse(account["id"]) for account in simulator.accounts()]
    vaults = [
        KeyVault(name, f"https://{name}.{PUBLIC.vault_suffix}", connection) for name in ("kv-orders", "kv-billing")
    ]

    async def drain(vault: KeyVault) -> None:
        assert [secret async for secret in vault.list()]

    await asyncio.gather(
        *(providers.for_type(account.resource_type).describe(account) for account in accounts),
        *(drain(vault) for vault in vaults),
    )

    assert 2 == tokens(simulator)


@pytest.mark.parametrize(("cloud", "name"), [(PUBLIC, "public"), (CHINA, "china"), (US_GOVERNMENT, "usgov")])
async def test_every_cloud_has_its_own_names(simulator: ControlClient, cloud: Cloud, name: str) -> None:
    """In each cloud the hosts, the token audiences and the endpoints of accounts are its own."""
    types = {"storage": "stsome", "batch": "batchsome", "webpubsub": "wps-some"}
    simulator.reset(
        {
            "cloud": name,
            "accounts": [{"type": kind, "name": account, "resource_group": "rg"} for kind, account in types.items()],
            "vaults": [{"name": "kv-some", "resource_group": "rg"}],
        }
    )
    async with connect(cloud, None, SystemClock()) as connection:
        vault = KeyVault("kv-some", f"https://kv-some.{cloud.vault_suffix}", connection)
        assert [] == [secret async for secret in vault.list()]
        for account in (AccountId.parse(told["id"]) for told in simulator.accounts()):
            provider = all_providers(connection, frozenset()).for_type(account.resource_type)
            description = await provider.describe(account)
            keys = await provider.list_keys(account)
            for key in keys.values():
                assert "accepted" == await provider.probe(description, key)


async def test_missing_rights_are_found(simulator: ControlClient, connection: Connection) -> None:
    """Azure's answer has wildcards and exclusions; what a denial takes away is missing."""
    account = an_account(simulator)
    read, regenerate = f"{STORAGE}/read", f"{STORAGE}/regenerateKey/action"
    assert () == await Rights(connection).missing(account, (read, regenerate))

    simulator.deny(regenerate)

    assert (regenerate,) == await Rights(connection).missing(account, (read, regenerate))


async def test_without_an_identity_the_way_out_is_told(
    simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Signing in fails before anything is sent, and the message says how to sign in."""
    monkeypatch.delenv("IDENTITY_ENDPOINT")
    # No Azure CLI, and no metadata service of a virtual machine.
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "dev")

    async with connect(PUBLIC, None, SystemClock()) as connection:
        with pytest.raises(CredentialUnavailable, match=r"there is no identity to sign in with; .*az login"):
            await all_providers(connection, frozenset()).for_type(STORAGE).describe(an_account(simulator))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"status": 400, "body": '{"error": "invalid_request"}'}, "ManagedIdentityCredential, 400"),
        ({"status": 403, "body": "<html>no"}, "ManagedIdentityCredential, 403"),
        ({"status": 200, "body": "<html>portal"}, "ManagedIdentityCredential, 200"),
        ({"status": 200, "body": "{}"}, "ManagedIdentityCredential, 200"),
        (
            {"status": 200, "body": GARBLED},
            "ManagedIdentityCredential, ValueError",
        ),
        ({"status": 200, "body": '{"access_token": "x", "expires_on": "9"}'}, "ManagedIdentityCredential, KeyError"),
    ],
)
async def test_an_identity_that_cannot_sign_in_is_told_as_that(
    simulator: ControlClient, providers: Providers, told: dict[str, Any], said: str
) -> None:
    """Which way was tried, and what came of it; nobody looks for another one."""
    simulator.fault(path="/msi/token", **told)

    with pytest.raises(CredentialUnavailable, match=rf"could not sign in; check .*\({said}\)$"):
        await providers.for_type(STORAGE).describe(an_account(simulator))


async def test_an_identity_that_was_good_once_is_told_the_same_way(
    simulator: ControlClient, connection: Connection
) -> None:
    """From then on the chain asks that one alone, and passes on whatever it raises."""
    vault = KeyVault("kv-orders", "https://kv-orders.vault.azure.net", connection)
    assert [secret async for secret in vault.list()]
    arm = ("https://management.azure.com/.default",)
    for told, expected in (
        ({"status": 200, "body": GARBLED}, SignInFailedError),
        ({"status": 503}, NoTokenError),
        ({"status": 410}, NoTokenError),
    ):
        fault = simulator.fault(path="/msi/token", **told)
        with pytest.raises(expected):
            await connection.credential.get_token(*arm)
        simulator.lift(fault)
    assert (await connection.credential.get_token(*arm)).token


async def test_settings_of_an_identity_that_cannot_be_used_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that is not there, before anybody asks for a token."""
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID"):
        monkeypatch.setenv(name, "00000000-0000-0000-0000-000000000000")
    monkeypatch.setenv("AZURE_CLIENT_CERTIFICATE_PATH", "/nowhere/certificate.pem")

    with pytest.raises(CredentialUnavailable, match=r"check AZURE_TENANT_ID.*\(FileNotFoundError\)"):
        async with connect(PUBLIC, None, SystemClock()):
            pass


async def test_only_who_was_asked_is_told() -> None:
    """Not who was asked before: the chain ends with the first one that tries."""

    class First:
        asked = 0

        async def get_token_info(self, *_: str, **__: object) -> AccessTokenInfo:
            self.asked += 1
            raise CredentialUnavailableError("not set up yet") if self.asked == 1 else ClientAuthenticationError("no")

    class Second:
        async def get_token_info(self, *_: str, **__: object) -> AccessTokenInfo:
            raise ClientAuthenticationError("no")

    ways = [credential._Way(First()), credential._Way(Second())]
    tokens = SharedTokens(ChainedTokenCredential(*ways), ways)  # type: ignore[arg-type]  # what the chain calls
    for name in ("Second", "First"):
        with pytest.raises(SignInFailedError) as failed:
            await tokens.get_token("scope")
        assert name == str(failed.value)


async def test_each_tenant_has_its_own_token() -> None:
    """A vault may belong to another one than we do."""

    class Tenants:
        async def get_token_info(self, *_: str, options: TokenRequestOptions) -> AccessTokenInfo:
            return AccessTokenInfo(options["tenant_id"], int(SystemClock().now().timestamp()) + 3600)

    tokens = SharedTokens(Tenants())  # type: ignore[arg-type]  # it lacks what `async with` needs

    asked = ["one", "other", "one"]
    assert asked == [(await tokens.get_token("scope", tenant_id=tenant)).token for tenant in asked]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"status": 408}, Unavailable),
        ({"status": 429, "retry_after": 3600}, Throttled),
        ({"status": 500}, Unavailable),
        ({"status": 503, "retry_after": 3600}, Unavailable),
        ({"cut": True}, Unavailable),
    ],
    ids=["408", "429", "500", "503", "cut"],
)
async def test_an_endpoint_of_tokens_that_is_busy_is_waited_for(
    simulator: ControlClient,
    providers: Providers,
    told: dict[str, Any],
    expected: type,
) -> None:
    """The next pass signs in; nobody is told to look for an identity, or kept waiting for an hour."""
    simulator.fault(path="/msi/token", **told)
    began = time.monotonic()

    with pytest.raises(expected, match="cannot read stcontosoorders"):
        await providers.for_type(STORAGE).describe(an_account(simulator))
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("told", "words", "asked"),
    [({"status": 429, "retry_after": 3600}, "too many requests", 1), ({"cut": True}, "could not be reached", 4)],
    ids=["429", "cut"],
)
async def test_whose_token_failed_is_told(
    simulator: ControlClient, providers: Providers, told: dict[str, Any], words: str, asked: int
) -> None:
    """Nothing was asked of the service that the token is for, and its client does not ask for tokens again."""
    simulator.fault(path="/msi/token", **told)

    with pytest.raises(Transient, match=f"cannot read stcontosoorders without a token: .*{words}"):
        await providers.for_type(STORAGE).describe(an_account(simulator))
    assert ["127.0.0.1"] * asked == [entry["host"].partition(":")[0] for entry in simulator.journal()]


@pytest.mark.parametrize(("status", "expected"), [(503, Unavailable), (429, Throttled), (400, CredentialUnavailable)])
async def test_a_gateway_before_entra_is_understood(
    simulator: ControlClient, monkeypatch: pytest.MonkeyPatch, status: int, expected: type[RotationError]
) -> None:
    """What it answers is none of Entra's JSON, and what stands there is not repeated."""
    for name in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.setenv(name, "00000000-0000-0000-0000-000000000000")
    simulator.fault(host="login", path="/token", status=status, body="<html>AADSTS7000215 sup3r~Secret.Client.Value")

    async with connect(PUBLIC, None, SystemClock()) as connection:
        with pytest.raises(expected) as caught:
            await all_providers(connection, frozenset()).for_type(STORAGE).describe(an_account(simulator))

    assert "sup3r" not in "".join(traceback.format_exception(caught.value))
    if expected is CredentialUnavailable:
        assert "(EnvironmentCredential, 400, AADSTS7000215)" in str(caught.value)


@pytest.mark.parametrize("status", [400, 409])
async def test_an_identity_that_was_taken_away_is_told_as_one_that_never_was(
    simulator: ControlClient, providers: Providers, connection: Connection, status: int
) -> None:
    """The answer is not one of the service that the next token is for."""
    vault = KeyVault("kv-orders", "https://kv-orders.vault.azure.net", connection)
    assert [secret async for secret in vault.list()]
    simulator.fault(path="/msi/token", status=status, code="Conflict")

    with pytest.raises(CredentialUnavailable, match="could not sign in"):
        await providers.for_type(STORAGE).describe(an_account(simulator))


async def test_nobody_waits_for_a_token_for_ever(
    simulator: ControlClient, providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some ways to sign in have patience of their own: a virtual machine's sleeps for as long as it is told to."""
    monkeypatch.setattr(credential, "_ASK_SECONDS", 0.2)
    simulator.fault(path="/msi/token", stall=True)
    began = time.monotonic()

    with pytest.raises(Unavailable, match="cannot read stcontosoorders without a token: it timed out"):
        await providers.for_type(STORAGE).describe(an_account(simulator))
    assert time.monotonic() - began < 10


async def test_who_waits_for_a_token_shares_its_failure(simulator: ControlClient, connection: Connection) -> None:
    """A hundred vaults would wait for an endpoint that hangs, one after the other; who comes later asks anew."""
    fault = simulator.fault(path="/msi/token", status=429, retry_after=3600)
    scope = "https://vault.azure.net/.default"

    async def sign_in() -> None:
        with pytest.raises(ClientAuthenticationError, match="TooManyRequests"):
            await connection.credential.get_token(scope)

    await asyncio.gather(*(sign_in() for _ in range(10)))
    assert 1 == tokens(simulator)
    await sign_in()
    assert 2 == tokens(simulator)

    simulator.lift(fault)
    assert (await connection.credential.get_token(scope)).token


class Aging:
    """Gives a token that is to be renewed from the beginning, and none after that."""

    def __init__(self, good_for: int, failure: Callable[[], Awaitable[object]]) -> None:
        self.asked = 0
        self._good_for, self._failure = good_for, failure

    async def get_token_info(self, *_: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Count who asks."""
        del options
        self.asked += 1
        if self.asked > 1:
            await self._failure()
        now = int(SystemClock().now().timestamp())
        return AccessTokenInfo("good", now + self._good_for, refresh_on=now - 1)


async def busy() -> None:
    """Have no token now."""
    raise ClientAuthenticationError("not now")


async def garble() -> None:
    """Fail as the SDK does where it did not foresee an answer."""
    raise KeyError("resource")


async def hang() -> None:
    """Never answer."""
    await asyncio.Event().wait()


@pytest.mark.parametrize("failure", [busy, garble, hang])
async def test_a_token_that_is_still_good_is_used_on(
    failure: Callable[[], Awaitable[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Identities renew theirs halfway through; who gives out tokens and fails then stops nobody for hours to come.

    It is asked once for all that want one, and not again at once.
    """
    monkeypatch.setattr(credential, "_ASK_SECONDS", 0.5)
    aging = Aging(3600, failure)
    tokens = SharedTokens(aging)  # type: ignore[arg-type]  # it lacks what `async with` needs
    began = time.monotonic()

    async def given() -> set[str]:
        return {token.token for token in await asyncio.gather(*(tokens.get_token("scope") for _ in range(10)))}

    assert {"good"} == await given()
    with monkeypatch.context() as later:
        later.setattr(credential, "_REFRESH_PAUSE", timedelta())
        assert {"good"} == await given()
    assert time.monotonic() - began < 0.4
    await asyncio.sleep(1)
    assert {"good"} == await given()
    await asyncio.sleep(0)
    assert 2 == aging.asked
    with pytest.raises(ClientAuthenticationError):
        await tokens.get_token("scope", claims="revoked")


async def test_a_token_is_replaced_beside_the_work() -> None:
    """In its last minutes, too, and for whatever reason the one who asked first could not wait."""

    class Slow:
        asked = 0

        async def get_token_info(self, *_: str, **__: object) -> AccessTokenInfo:
            self.asked += 1
            await asyncio.sleep(0.3)
            good_for = 240 if self.asked == 1 else 3600
            return AccessTokenInfo(f"number {self.asked}", int(SystemClock().now().timestamp()) + good_for)

    slow = Slow()
    tokens = SharedTokens(slow)  # type: ignore[arg-type]  # it lacks what `async with` needs
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await tokens.get_token("scope")
    assert "number 1" == (await tokens.get_token("scope")).token
    tokens._asked_at.clear()
    assert "number 1" == (await tokens.get_token("scope")).token
    await asyncio.sleep(0.5)
    assert "number 2" == (await tokens.get_token("scope")).token
    assert 2 == slow.asked
    assert "number 3" == (await tokens.get_token("scope", claims="revoked")).token
    assert "number 3" == (await tokens.get_token("scope")).token


async def test_a_clock_that_is_set_back_does_not_keep_a_token_from_being_replaced() -> None:
    """As if somebody had asked a moment ago, until that moment comes."""
    aging = Aging(3600, busy)
    tokens = SharedTokens(aging)  # type: ignore[arg-type]  # it lacks what `async with` needs
    await tokens.get_token("scope")
    tokens._asked_at = {wanted: asked + timedelta(hours=1) for wanted, asked in tokens._asked_at.items()}

    await tokens.get_token("scope")
    await asyncio.sleep(0)
    assert 2 == aging.asked


async def test_a_token_that_is_asked_for_beside_the_work_is_awaited_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Azure CLI that is left alone would end in a loop that is closed; one that hangs is left."""
    monkeypatch.setattr(credential, "_GOODBYE_SECONDS", 0.4)
    ended: list[str] = []

    class Renewed:
        def __init__(self, seconds: float) -> None:
            self._seconds = seconds
            self._asked = 0

        async def get_token_info(self, *_: str, **__: object) -> AccessTokenInfo:
            self._asked += 1
            if self._asked > 1:
                await asyncio.sleep(self._seconds)
                ended.append(f"after {self._seconds} s")
            return AccessTokenInfo("good", int(SystemClock().now().timestamp()) + 240)

        async def close(self) -> None:
            ended.append("closed")

    began = time.monotonic()
    for seconds in (0.1, 5):
        tokens = SharedTokens(Renewed(seconds))  # type: ignore[arg-type]  # it lacks what `async with` needs
        await tokens.get_token("scope")
        tokens._asked_at.clear()
        await tokens.get_token("scope")
        await tokens.close()
    assert ["after 0.1 s", "closed", "closed"] == ended
    assert time.monotonic() - began < 4


async def test_a_token_that_ends_soon_is_not_used_on() -> None:
    """A pass would begin with it that could not go on."""
    tokens = SharedTokens(Aging(59, busy))  # type: ignore[arg-type]
    await tokens.get_token("scope")

    with pytest.raises(ClientAuthenticationError):
        await tokens.get_token("scope")


async def test_a_garbled_token_is_not_quoted(
    simulator: ControlClient, providers: Providers, caplog: pytest.LogCaptureFixture
) -> None:
    """S6: the SDK warns of an answer that it cannot read, with all that stands there."""
    caplog.set_level(logging.DEBUG)
    telemetry.configure()
    simulator.fault(path="/msi/token", status=200, body='{"access_token": "eyJhbGciOiJSUzI1NiIsImtpZCI6InR3byJ9.e30')

    with pytest.raises(CredentialUnavailable) as caught:
        await providers.for_type(STORAGE).describe(an_account(simulator))

    assert "eyJ" not in "".join(traceback.format_exception(caught.value))
    assert "eyJ" not in caplog.text


@pytest.mark.parametrize(
    ("code", "expected"), [(socket.EAI_NONAME, NotFound), (socket.EAI_AGAIN, Unavailable)], ids=["unknown", "no answer"]
)
async def test_an_unknown_host_is_told_from_a_silent_name_server(code: int, expected: type[RotationError]) -> None:
    """A misspelt vault is for a person; a name server that is down is for the next pass."""

    class Resolver(AbstractResolver):
        async def resolve(self, *_: object, **__: object) -> list[ResolveResult]:
            raise socket.gaierror(code, "some text of the platform's")

        async def close(self) -> None:
            pass

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Resolver())) as session:
        transport = AioHttpTransport(session=session, session_owner=False)
        with pytest.raises(expected, match="cannot read it"), translated("read it"):
            await transport.send(HttpRequest("GET", "https://kv-misspelt.vault.azure.net"))


async def refusing() -> AsyncIterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


async def silent() -> AsyncIterator[str]:
    """An address that takes connections and never answers."""

    async def wait(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    async with await asyncio.start_server(wait, "127.0.0.1", 0) as server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            gone.set()


@asynccontextmanager
async def slow_proxy(seconds: float) -> AsyncIterator[tuple[str, list[asyncio.Task[None]]]]:
    """The address of a proxy before the simulator's own that takes its time for each connection, and those made."""

    async def pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while some := await source.read(65536):
            sink.write(some)
        sink.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        behind = urlsplit(getproxies()["https"])
        there, back = await asyncio.open_connection(behind.hostname, behind.port)
        await asyncio.gather(pour(reader, back), pour(there, writer))

    made: list[asyncio.Task[None]] = []

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.append(asyncio.create_task(join(reader, writer)))

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", made
        await asyncio.wait(made, timeout=5)


@pytest.mark.parametrize(
    ("place", "words"), [(refusing, "nothing listens there on this machine; start it"), (silent, "it timed out")]
)
async def test_a_host_out_of_reach_is_told_with_the_cause(place: Callable[[], AsyncIterator[str]], words: str) -> None:
    """A closed port and a silent one are different things to look for."""
    async with asynccontextmanager(place)() as url, aiohttp.ClientSession() as session:
        transport = AioHttpTransport(session=session, session_owner=False, read_timeout=0.2)
        with pytest.raises(Unavailable, match=words), translated("read it"):
            await transport.send(HttpRequest("GET", url))


async def test_a_certificate_that_is_not_trusted_is_for_a_person(simulator: ControlClient) -> None:
    """No waiting helps, and the message names the setting that does."""
    simulator.clear_journal()
    trusting_nobody = aiohttp.TCPConnector(ssl=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    async with aiohttp.ClientSession(connector=trusting_nobody, trust_env=True) as session:
        transport = AioHttpTransport(session=session, session_owner=False, connection_verify=True)
        with pytest.raises(Untrusted, match="certificate is not trusted; let SSL_CERT_FILE"), translated("read it"):
            await transport.send(HttpRequest("GET", "https://management.azure.com"))


async def test_a_proxy_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be reached then is the proxy, not the service."""
    async for url in refusing():
        monkeypatch.setenv("HTTPS_PROXY", url)
        monkeypatch.setenv("https_proxy", url)
        async with aiohttp.ClientSession(trust_env=True) as session:
            transport = AioHttpTransport(session=session, session_owner=False)
            with pytest.raises(Unavailable, match="proxy cannot be reached"), translated("read it"):
                await transport.send(HttpRequest("GET", "https://management.azure.com"))


async def test_a_proxy_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting helps."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "garbage")
    async with aiohttp.ClientSession(trust_env=True) as session:
        transport = AioHttpTransport(session=session, session_owner=False)
        with pytest.raises(Unexpected, match="or that in HTTPS_PROXY, is none"), translated("read it"):
            await transport.send(HttpRequest("GET", "https://management.azure.com"))


async def test_nobody_waits_for_a_connection_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """S1: a proxy that stalls would let a change leave long after its lease; the SDK bounds the first step only."""
    monkeypatch.setattr(connected, "_CONNECT_SECONDS", 0.3)
    async with asynccontextmanager(silent)() as url, connect(PUBLIC, None, SystemClock()) as connection:
        monkeypatch.setenv("HTTPS_PROXY", url)
        monkeypatch.setenv("https_proxy", url)
        transport = Transport(connection.session, 20)
        request = HttpRequest("GET", "https://nobody-else.vault.azure.net")
        asking = asyncio.create_task(transport.send(request))
        answered, _ = await asyncio.wait({asking}, timeout=5)
        asking.cancel()

        assert answered
        with (
            pytest.raises(Unavailable, match="it timed out; check the network, and HTTPS_PROXY"),
            translated("read it"),
        ):
            await asking


async def test_a_lease_that_ends_while_connecting_lets_nothing_leave(simulator: ControlClient) -> None:
    """S1: a way there that takes long, or a machine that was suspended on it; the connection serves the next one."""
    async with slow_proxy(0.5) as (proxy, made), connect(PUBLIC, None, SystemClock()) as connection:
        transport = PacedTransport(connection.session, 20, f"https://{HOST}", connection.paces, connection.clock)
        request = HttpRequest("PUT", f"https://{HOST}/secrets/some-key")
        simulator.clear_journal()

        with pytest.raises(LeaseLost):
            await transport.send(request, lease=Ending(0.2), proxy=proxy)
        assert [] == simulator.journal()
        await transport.send(request, lease=HELD, proxy=proxy)
        await transport.send(request, proxy=proxy)
        assert (2, 1) == (len(simulator.journal()), len(made))


async def test_a_lease_binds_its_own_request_only(simulator: ControlClient) -> None:
    """What else a pass sends, as to look at what became of a write, needs none."""
    async with connect(PUBLIC, None, SystemClock()) as connection:
        transport = PacedTransport(connection.session, 20, f"https://{HOST}", connection.paces, connection.clock)
        request = HttpRequest("GET", f"https://{HOST}/secrets/some-key")
        with pytest.raises(LeaseLost):
            await transport.send(request, lease=LOST)

        assert 401 == (await Transport(connection.session, 20).send(request)).status_code
    assert 1 == len(simulator.journal())


async def test_a_put_is_sent_once(connection: Connection, simulator: ControlClient) -> None:
    """By itself aiohttp sends a PUT twice when the connection breaks: one attempt of ours would leave two versions."""
    vault = KeyVault("kv-orders", "https://kv-orders.vault.azure.net", connection)
    assert [secret async for secret in vault.list()]
    simulator.clear_journal()
    simulator.fault(method="PUT", cut=True)

    with pytest.raises(AzureError):
        await vault._client.set_secret("some-key", "value", retry_total=0)
    assert 1 == len(simulator.journal())


@pytest.mark.parametrize(
    "garbled", ['{"keys": [{"keyName": "key1", "value": "%s"', '{"keys": "%s"}', '{"nothing": "%s"}']
)
async def test_a_garbled_answer_is_not_quoted(
    simulator: ControlClient, providers: Providers, garbled: str, caplog: pytest.LogCaptureFixture
) -> None:
    """S6: the SDK quotes an answer that it cannot read in its error, keys and all; ours and its chain must not."""
    caplog.set_level(logging.DEBUG)
    key = "not-a-real-key-but-as-long-as-one"
    simulator.fault(path="/listKeys", status=200, body=garbled % key)

    with pytest.raises(Exception) as caught:  # noqa: PT011  whatever it is, it must not quote
        await providers.for_type(STORAGE).list_keys(an_account(simulator))

    assert isinstance(caught.value, RotationError)
    assert key not in "".join(traceback.format_exception(caught.value))
    assert key not in caplog.text


async def test_only_what_is_asked_again_stays_connected(simulator: ControlClient, connection: Connection) -> None:
    """Each account has a data plane of its own: a fleet that kept those would hold thousands of connections."""
    providers = all_providers(connection, frozenset())
    for account in (AccountId.parse(told["id"]) for told in simulator.accounts()):
        provider = providers.for_type(account.resource_type)
        keys = await provider.list_keys(account)
        assert "accepted" == await provider.probe(await provider.describe(account), keys[provider.slots[0]])

    assert isinstance(connection.session.connector, aiohttp.TCPConnector)
    signing_in = "127.0.0.1"
    assert {signing_in, "management.azure.com"} == {kept.host for kept in connection.session.connector._conns}


@contextmanager
def parting_slowly(seconds: float, trusting: Path) -> Iterator[str]:
    """A host that answers one request and takes its time to part; its authority is written to a file."""
    authority, serving = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(serving)
    authority.cert_pem.write_to_path(str(trusting))
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as host:
        server.settimeout(10)

        def answer() -> None:
            with serving.wrap_socket(server.accept()[0], server_side=True) as caller:
                caller.recv(1 << 16)
                caller.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                time.sleep(seconds)

        answered = host.submit(answer)
        yield f"https://localhost:{server.getsockname()[1]}/"
        answered.result()


@pytest.mark.parametrize("failure", [None, BadInput("it was no good")], ids=["done", "failed"])
def test_who_parts_slowly_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failure: BadInput | None
) -> None:
    """A connection that is closing when the process ends would be complained of, and is nobody's fault."""
    monkeypatch.delenv("HTTPS_PROXY")

    async def ask(url: str, trusting: Path) -> None:
        async with connect(PUBLIC, None, SystemClock()) as connection:
            transport: AioHttpTransport = connection.probe_options()["transport"]
            answer = await transport.send(HttpRequest("GET", url), connection_verify=str(trusting))
            assert 200 == answer.status_code
            if failure:
                raise failure

    authority = tmp_path / "authority.pem"
    with parting_slowly(0.3, authority) as url, warnings.catch_warnings(record=True) as complaints:
        with suppress(BadInput):
            asyncio.run(ask(url, authority))
        gc.collect()

    assert [] == [str(complaint.message) for complaint in complaints]


async def test_no_key_is_logged_at_any_level(
    simulator: ControlClient, providers: Providers, caplog: pytest.LogCaptureFixture
) -> None:
    """S6: not even where an operator turns on every log there is."""
    caplog.set_level(logging.DEBUG)
    for account in (AccountId.parse(told["id"]) for told in simulator.accounts()):
        provider = providers.for_type(account.resource_type)
        description = await provider.describe(account)
        keys: dict[str, Any] = dict(await provider.list_keys(account))
        new = await provider.regenerate(account, provider.slots[1], keys[provider.slots[1]], HELD)
        await provider.probe(description, new)

    assert "management.azure.com" in caplog.text
    keys_so_far = simulator.keys()
    assert [] == [key for key in keys_so_far if key in caplog.text]
