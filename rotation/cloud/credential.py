"""Who we are: one credential per process, whose tokens all clients share."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable
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
from azure.identity.aio import DefaultAzureCredential

from rotation.clock import SystemClock
from rotation.cloud.clouds import Cloud
from rotation.cloud.patience import Patience
from rotation.cloud.translate import NoTokenError

_EARLY = timedelta(minutes=5)
"""How long before its end a token is replaced; what the SDK's own clients do."""

_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)})
"""How an endpoint says that it has no token now; others say that it has none for us."""

_UNANSWERED = (ServiceRequestError, ServiceResponseError)
_ENTRA_NUMBER = re.compile(r"AADSTS[0-9]+")

_CLI_SECONDS = 30
"""How long the Azure CLI may take for a token; the SDK's 10 s are short on a busy machine."""


def open_credential(cloud: Cloud, client_id: str | None, transport: AsyncHttpTransport[Any, Any]) -> "SharedTokens":
    """Sign in as the first identity there is: environment, workload identity, managed identity, Azure CLI.

    `client_id` names a user-assigned managed identity; None means the system-assigned one.
    """
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
    ways = tuple(map(_Way, credential.credentials))
    credential.credentials = ways  # type: ignore[assignment]  # of the protocol only what the chain calls
    return SharedTokens(credential, ways)


class _Way:
    """One way to sign in, which remembers how it failed: the chain that tries it keeps only texts."""

    def __init__(self, credential: Any) -> None:  # noqa: ANN401  the SDK's own are of many types
        self._credential = credential
        # By this name the chain tells which ways it has tried.
        self._credential_name = getattr(credential, "_credential_name", type(credential).__name__)
        self.failures: dict[tuple[str, ...], AzureError] = {}

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Ask for a token."""
        try:
            token: AccessTokenInfo = await self._credential.get_token_info(*scopes, options=options)
        except AzureError as failure:
            self.failures[scopes] = failure
            raise
        return token

    def said(self, *scopes: str) -> str:
        """Who gave no token, with status and Entra's number: a text may hold anything. Empty where it was not asked."""
        failure = self.failures.get(scopes)
        if failure is None:
            return ""
        status = failure.status_code if isinstance(failure, HttpResponseError) else None
        number = _ENTRA_NUMBER.search(str(failure))
        return ", ".join(filter(None, (self._credential_name, str(status or ""), number[0] if number else "")))

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

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Return a token that is good for some minutes at least."""
        options = options or {}
        wanted = (scopes, options.get("tenant_id"), options.get("enable_cae"))
        before = self._failures.get(wanted)
        async with self._locks[wanted]:
            # Claims mean that the service has revoked the token that we hold.
            held = None if options.get("claims") else self._held.get(wanted)
            if held is not None and not _is_stale(held):
                return held
            failure = self._failures.get(wanted)
            if failure is not None and failure is not before:
                # Or a hundred clients would wait for an endpoint that hangs, one after the other.
                raise failure
            try:
                self._held[wanted] = await self._ask(scopes, options)
            except AzureError as error:
                if held is not None and not _is_ending(held):
                    return held
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

    async def _ask(self, scopes: tuple[str, ...], options: TokenRequestOptions) -> AccessTokenInfo:
        for way in self._ways:
            way.failures.pop(scopes, None)
        try:
            return await self._credential.get_token_info(*scopes, options=options)
        except AzureError:
            # Who was not answered, or not now, has an identity all the same; waiting helps.
            for way in self._ways:
                if isinstance(failure := way.failures.get(scopes), _UNANSWERED):
                    raise NoTokenError(failure.message, error=failure.inner_exception) from None
                if isinstance(failure, HttpResponseError) and failure.status_code in _PASSING:
                    raise NoTokenError(failure.message, response=failure.response) from None
            # Its answer would be taken for one of the service that the token is for.
            said = filter(None, (way.said(*scopes) for way in self._ways))
            raise ClientAuthenticationError("; ".join(said) or "no way to sign in is set up") from None

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


def _is_stale(token: AccessTokenInfo) -> bool:
    """Whether to ask for another one; by the machine's clock, against which the token was made."""
    refresh = token.refresh_on
    return _is_ending(token) or (refresh is not None and SystemClock().now() >= datetime.fromtimestamp(refresh, UTC))


def _is_ending(token: AccessTokenInfo) -> bool:
    """Whether it is hardly good for another pass."""
    return SystemClock().now() >= datetime.fromtimestamp(token.expires_on, UTC) - _EARLY
