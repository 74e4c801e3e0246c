"""Who we are: one credential per process, whose tokens all clients share."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
from azure.core.credentials_async import AsyncSupportsTokenInfo
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.identity.aio import DefaultAzureCredential

from rotation.clock import SystemClock
from rotation.cloud.clouds import Cloud
from rotation.cloud.patience import Patience

_EARLY = timedelta(minutes=5)
"""How long before its end a token is replaced; what the SDK's own clients do."""

_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)})
"""How an endpoint says that it has no token now; others say that it has none for us."""

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
    """One way to sign in, which remembers what waiting may mend: the chain that tries it keeps only texts."""

    def __init__(self, credential: Any) -> None:  # noqa: ANN401  the SDK's own are of many types
        self._credential = credential
        # By this name the chain tells which ways it has tried.
        self._credential_name = getattr(credential, "_credential_name", type(credential).__name__)
        self.failure: AzureError | None = None

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Ask for a token."""
        self.failure = None
        try:
            token: AccessTokenInfo = await self._credential.get_token_info(*scopes, options=options)
        except (ServiceRequestError, ServiceResponseError) as unanswered:
            self.failure = unanswered
            raise
        except ClientAuthenticationError as refused:
            if refused.status_code in _PASSING:
                self.failure = refused
            raise
        return token

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
            failure = self._failures.get(wanted)
            if failure is not None and failure is not before:
                # Or a hundred clients would wait for an endpoint that hangs, one after the other.
                raise failure
            # Claims mean that the service has revoked the token that we hold.
            if options.get("claims") or wanted not in self._held or _is_stale(self._held[wanted]):
                try:
                    self._held[wanted] = await self._ask(scopes, options)
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

    async def _ask(self, scopes: tuple[str, ...], options: TokenRequestOptions) -> AccessTokenInfo:
        try:
            return await self._credential.get_token_info(*scopes, options=options)
        except ClientAuthenticationError as refused:
            # Who was not answered, or not now, has an identity all the same; waiting helps.
            for way in self._ways:
                if way.failure is not None:
                    raise way.failure from None
            # Its answer would be taken for one of the service that the token is for.
            raise ClientAuthenticationError(refused.message) from None

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
    now = SystemClock().now()
    if token.refresh_on is not None and now >= datetime.fromtimestamp(token.refresh_on, UTC):
        return True
    return now >= datetime.fromtimestamp(token.expires_on, UTC) - _EARLY
