"""Who we are: one credential per process, whose tokens all clients share."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

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

_EARLY = timedelta(minutes=5)
"""How long before its end a token is replaced; what the SDK's own clients do."""

_ASK_SECONDS = 60.0
"""How long a token is asked for that nobody can go on without."""

_REFRESH_SECONDS, _REFRESH_PAUSE = 5.0, timedelta(seconds=30)
"""The same in the place of one that is still good, and how often: whoever wants it waits, and leases run out."""

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
        self.failures: dict[tuple[str, ...], Exception] = {}

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Ask for a token."""
        try:
            token: AccessTokenInfo = await self._credential.get_token_info(*scopes, options=options)
        except Exception as failure:
            # Of an answer that it did not foresee it passes on whatever Python makes of that.
            self.failures[scopes] = failure
            raise
        return token

    def was_refused(self, *scopes: str) -> bool:
        """Whether it tried to sign in, and could not; others are not set up here."""
        failure = self.failures.get(scopes)
        return failure is not None and bool(_status(failure) or not isinstance(failure, CredentialUnavailableError))

    def said(self, *scopes: str) -> str:
        """Who gave no token, with status and Entra's number: a text may hold anything. Empty where it was not asked."""
        failure = self.failures.get(scopes)
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
        self._locks: defaultdict[object, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._held: dict[object, AccessTokenInfo] = {}
        self._failures: dict[object, AzureError] = {}
        self._refreshed: dict[object, datetime] = {}

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Return a token that is good for some minutes at least."""
        options = options or {}
        wanted = (scopes, options.get("tenant_id"), options.get("enable_cae"))
        before = self._failures.get(wanted)
        async with self._locks[wanted]:
            # Claims mean that the service has revoked the token that we hold.
            held = None if options.get("claims") else self._held.get(wanted)
            if held is not None and not _is_ending(held):
                return await self._refreshed_if_due(held, wanted, scopes, options)
            failure = self._failures.get(wanted)
            if failure is not None and failure is not before:
                # Or a hundred clients would wait for an endpoint that hangs, one after the other.
                raise failure
            try:
                self._held[wanted] = await self._ask(scopes, options, _ASK_SECONDS)
            except AzureError as error:
                self._failures[wanted] = error
                raise
            return self._held[wanted]

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

    async def _refreshed_if_due(
        self, held: AccessTokenInfo, wanted: object, scopes: tuple[str, ...], options: TokenRequestOptions
    ) -> AccessTokenInfo:
        """A newer token in the place of one that is still good, if one is to be had now."""
        now, last = SystemClock().now(), self._refreshed.get(wanted)
        # The clock may have been set back meanwhile.
        if _is_due(held, now) and not (last and last <= now < last + _REFRESH_PAUSE):
            self._refreshed[wanted] = now
            with suppress(AzureError):
                self._held[wanted] = await self._ask(scopes, options, _REFRESH_SECONDS)
        return self._held[wanted]

    async def _ask(self, scopes: tuple[str, ...], options: TokenRequestOptions, seconds: float) -> AccessTokenInfo:
        """Ask for a token for so long; raises an AzureError without what was answered."""
        for way in self._ways:
            way.failures.pop(scopes, None)
        try:
            async with asyncio.timeout(seconds):
                return await self._credential.get_token_info(*scopes, options=options)
        except TimeoutError as late:
            raise NoTokenError("no token came in time", error=late) from None
        except Exception:  # noqa: BLE001  the SDK does not foresee every answer
            raise self._failure(scopes) from None

    def _failure(self, scopes: tuple[str, ...]) -> AzureError:
        """Why nobody gave a token. An answer as it is would be taken for one of the service that the token is for."""
        # Who was not answered, or not now, has an identity all the same; waiting helps.
        for way in self._ways:
            failure = way.failures.get(scopes)
            if isinstance(failure, _UNANSWERED):
                return NoTokenError(failure.message, error=failure.inner_exception)
            if isinstance(failure, HttpResponseError) and failure.status_code in _PASSING:
                return NoTokenError(failure.message, response=failure.response)
        if refused := [way.said(*scopes) for way in self._ways if way.was_refused(*scopes)]:
            return SignInFailedError("; ".join(refused))
        said = filter(None, (way.said(*scopes) for way in self._ways))
        return ClientAuthenticationError("; ".join(said) or "no way to sign in is set up")

    async def close(self) -> None:
        """Close the credential behind."""
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


def _is_due(token: AccessTokenInfo, now: datetime) -> bool:
    """Whether a newer one is to be had, as an identity of Azure renews its own when half their time is over."""
    return token.refresh_on is not None and now >= datetime.fromtimestamp(token.refresh_on, UTC)


def _is_ending(token: AccessTokenInfo) -> bool:
    """Whether it is hardly good for another pass; by the machine's clock, against which it was made."""
    return SystemClock().now() >= datetime.fromtimestamp(token.expires_on, UTC) - _EARLY
