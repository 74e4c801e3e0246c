"""Who we are: one credential per process, whose tokens all clients share."""

import asyncio
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypeAlias

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
from azure.core.credentials_async import AsyncSupportsTokenInfo
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.identity import CredentialUnavailableError
from azure.identity.aio import DefaultAzureCredential

from rotation.clock import SystemClock
from rotation.cloud.clouds import Cloud
from rotation.cloud.patience import Patience
from rotation.cloud.translate import NoTokenError, SignInFailedError
from rotation.errors import CredentialUnavailable

Wanted: TypeAlias = tuple[object, ...]
"""For what a token is wanted: scopes, tenant, whether it may be revoked before its end, and claims."""

_EARLY, _LATEST = timedelta(minutes=5), timedelta(minutes=2)
"""How long before its end a token is to be replaced, as the SDK's own clients do, and from when on it is none."""

_ASK_SECONDS = 60.0
"""How long a token is asked for."""

_REFRESH_PAUSE = timedelta(seconds=30)
"""How often one is asked for in the place of one that is still good."""

_GOODBYE_SECONDS = 2.0
"""How long the last of them are awaited at the end."""

_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)})
"""How an endpoint says that it has no token now; others say that it has none for us.

The metadata service of a virtual machine says 410 for a minute while it is updated.
"""

_UNANSWERED = (ServiceRequestError, ServiceResponseError)
_ENTRA_NUMBER = re.compile(r"AADSTS[0-9]+")

_CLI_SECONDS = 30
"""How long the Azure CLI may take for a token; the SDK's 10 s are short on a busy machine."""


def open_credential(cloud: Cloud, client_id: str | None, transport: AsyncHttpTransport[Any, Any]) -> "SharedTokens":
    """Sign in as the first identity there is: environment, workload identity, managed identity, Azure CLI.

    `client_id` names a user-assigned managed identity; None means the system-assigned one.
    """
    try:
        credential = DefaultAzureCredential(
            authority=cloud.authority,
            managed_identity_client_id=client_id,
            process_timeout=_CLI_SECONDS,
            transport=transport,
            retry_policy_class=Patience,
            exclude_shared_token_cache_credential=True,
            exclude_visual_studio_code_credential=True,
            exclude_powershell_credential=True,
            exclude_developer_cli_credential=True,
        )
    except (OSError, ValueError) as wrong:
        # It may quote what it was given.
        raise CredentialUnavailable(
            "cannot sign in as the identity that the environment names; check AZURE_TENANT_ID, AZURE_CLIENT_ID and "
            f"AZURE_CLIENT_CERTIFICATE_PATH ({type(wrong).__name__})"
        ) from None
    ways = tuple(map(_Way, credential.credentials))
    credential.credentials = ways  # type: ignore[assignment]  # of the protocol only what the chain calls
    return SharedTokens(credential, ways)


class _Way:
    """One way to sign in, which remembers how it failed: the chain that tries it keeps only texts."""

    def __init__(self, credential: Any) -> None:  # noqa: ANN401  the SDK's own are of many types
        self._credential = credential
        # By this name the chain tells which ways it has tried.
        self._credential_name = getattr(credential, "_credential_name", type(credential).__name__)
        self.failures: dict[Wanted, Exception] = {}

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Ask for a token."""
        try:
            token: AccessTokenInfo = await self._credential.get_token_info(*scopes, options=options)
        except Exception as failure:
            # Of an answer that it did not foresee it passes on whatever Python makes of that.
            self.failures[_wanted(scopes, options or {})] = failure
            raise
        return token

    def was_refused(self, wanted: Wanted) -> bool:
        """Whether it tried to sign in, and could not; others are not set up here."""
        failure = self.failures.get(wanted)
        return failure is not None and bool(_status(failure) or not isinstance(failure, CredentialUnavailableError))

    def said(self, wanted: Wanted) -> str:
        """Who gave no token, with status and Entra's number: a text may hold anything. Empty where it was not asked."""
        failure = self.failures.get(wanted)
        if failure is None:
            return ""
        kind = "" if isinstance(failure, AzureError) else type(failure).__name__
        number = _ENTRA_NUMBER.search(str(failure))
        return ", ".join(filter(None, (self._credential_name, kind, _status(failure), number[0] if number else "")))

    async def close(self) -> None:
        """Close the credential behind."""
        await self._credential.close()


class SharedTokens:
    """A credential that asks another one once per token, however many clients want it at the same time.

    Every client keeps its token for itself, the Azure CLI takes a second for each,
    and the endpoint of managed identities refuses callers that ask too often.
    """

    def __init__(self, credential: AsyncSupportsTokenInfo, ways: Iterable[_Way] = ()) -> None:
        self._credential = credential
        self._ways = tuple(ways)
        self._held: dict[Wanted, AccessTokenInfo] = {}
        self._asking: dict[Wanted, asyncio.Task[AccessTokenInfo]] = {}
        self._asked_at: dict[Wanted, datetime] = {}

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Return a token; one that is to be replaced, and good for a while yet, is replaced meanwhile."""
        options = options or {}
        wanted = _wanted(scopes, options)
        # None is held for claims: they mean that the service has revoked the one that we have.
        held = self._held.get(wanted)
        if held is None or _is_ending(held):
            # Whoever cannot wait, as the renewal of a lease, leaves it to the others; a shield would log how it ends.
            asking = self._ask(wanted, scopes, options)
            await asyncio.wait([asking])
            return asking.result()
        if _is_due(held) and self._is_worth_asking(wanted):
            self._ask(wanted, scopes, options)
        return held

    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **_: Any,  # noqa: ANN401  the SDK's protocol allows any
    ) -> AccessToken:
        """Return the same in the older form, by which the Storage SDK recognises a credential."""
        options: TokenRequestOptions = {"enable_cae": enable_cae}
        if claims:
            options["claims"] = claims
        if tenant_id:
            options["tenant_id"] = tenant_id
        token = await self.get_token_info(*scopes, options=options)
        return AccessToken(token.token, token.expires_on)

    def _ask(
        self, wanted: Wanted, scopes: tuple[str, ...], options: TokenRequestOptions
    ) -> asyncio.Task[AccessTokenInfo]:
        """Ask, or join those who are asking: a hundred clients would wait for one that hangs one after the other."""

        def asked(task: asyncio.Task[AccessTokenInfo]) -> None:
            self._asking.pop(wanted, None)
            # What nobody waits for may fail unheard.
            if not task.cancelled() and not task.exception():
                self._held[_wanted(scopes, {**options, "claims": ""})] = task.result()

        if wanted not in self._asking:
            self._asked_at[wanted] = SystemClock().now()
            self._asking[wanted] = asyncio.create_task(self._answer(wanted, scopes, options))
            self._asking[wanted].add_done_callback(asked)
        return self._asking[wanted]

    def _is_worth_asking(self, wanted: Wanted) -> bool:
        """Whether some time has passed since somebody asked; the clock may have been set back meanwhile."""
        now, last = SystemClock().now(), self._asked_at.get(wanted)
        return last is None or not last <= now < last + _REFRESH_PAUSE

    async def _answer(self, wanted: Wanted, scopes: tuple[str, ...], options: TokenRequestOptions) -> AccessTokenInfo:
        """Wait for a token; raises an AzureError without what was answered."""
        for way in self._ways:
            way.failures.pop(wanted, None)
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                return await self._credential.get_token_info(*scopes, options=options)
        except TimeoutError as late:
            raise NoTokenError("no token came in time", error=late) from None
        except Exception:  # noqa: BLE001  the SDK does not foresee every answer
            raise self._failure(wanted) from None

    def _failure(self, wanted: Wanted) -> AzureError:
        """Why nobody gave a token. An answer as it is would be taken for one of the service that the token is for."""
        # Who was not answered, or not now, has an identity all the same; waiting helps.
        for way in self._ways:
            failure = way.failures.get(wanted)
            if isinstance(failure, _UNANSWERED):
                return NoTokenError(failure.message, error=failure.inner_exception)
            if isinstance(failure, HttpResponseError) and failure.status_code in _PASSING:
                return NoTokenError(failure.message, response=failure.response)
        if refused := [way.said(wanted) for way in self._ways if way.was_refused(wanted)]:
            return SignInFailedError("; ".join(refused))
        said = filter(None, (way.said(wanted) for way in self._ways))
        return ClientAuthenticationError("; ".join(said) or "no way to sign in is set up")

    async def close(self) -> None:
        """Close the credential behind, and stop asking it."""
        if asked := tuple(self._asking.values()):
            # An Azure CLI that is cut off goes on, and ends in a loop that is closed.
            await asyncio.wait(asked, timeout=_GOODBYE_SECONDS)
        for asking in asked:
            asking.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await self._credential.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.close()


def _status(failure: Exception) -> str:
    """The status of the answer that made it fail; empty where there was none."""
    return str((failure.status_code or "") if isinstance(failure, HttpResponseError) else "")


def _wanted(scopes: tuple[str, ...], options: TokenRequestOptions) -> Wanted:
    return scopes, options.get("tenant_id"), options.get("enable_cae"), options.get("claims") or ""


def _is_due(token: AccessTokenInfo) -> bool:
    """Whether it is to be replaced, as an identity of Azure renews its own when half their time is over."""
    refresh = token.refresh_on
    due = refresh is not None and SystemClock().now() >= datetime.fromtimestamp(refresh, UTC)
    return due or _left(token) <= _EARLY


def _is_ending(token: AccessTokenInfo) -> bool:
    """Whether it is hardly good for another request."""
    return _left(token) <= _LATEST


def _left(token: AccessTokenInfo) -> timedelta:
    """How long it is good; by the machine's clock, against which it was made."""
    return datetime.fromtimestamp(token.expires_on, UTC) - SystemClock().now()
