"""Which rights we have on an account, as far as Azure tells."""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from azure.core.pipeline.policies import ContentDecodePolicy, RequestIdPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest
from azure.mgmt.core import AsyncARMPipelineClient
from azure.mgmt.core.policies import AsyncARMChallengeAuthenticationPolicy

from rotation.cloud.connection import Connection
from rotation.cloud.patience import PacedPatience
from rotation.cloud.translate import translated
from rotation.errors import Forbidden
from rotation.model import AccountId

_PERMISSIONS = "/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"


class Rights:
    """Asks Azure Resource Manager what our identity may do."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def missing(self, account: AccountId, wanted: Iterable[str]) -> tuple[str, ...] | None:
        """The actions among `wanted` that we lack on the account; None when we may not ask.

        Management locks and deny assignments are not part of the answer.
        """
        try:
            with translated(f"read our rights on {account.name}"):
                granted = await self._granted(f"{self._connection.cloud.arm}{account}{_PERMISSIONS}")
        except Forbidden:
            return None
        return tuple(action for action in wanted if not any(_grants(role, action) for role in granted))

    async def _granted(self, url: str | None) -> list[Mapping[str, Any]]:
        granted: list[Mapping[str, Any]] = []
        while url:
            answer = await self._client.send_request(HttpRequest("GET", url))
            answer.raise_for_status()
            page = answer.json()
            granted += page["value"]
            url = page.get("nextLink")
        return granted

    @cached_property
    def _client(self) -> "AsyncARMPipelineClient[Any, Any]":
        connection = self._connection
        return AsyncARMPipelineClient(
            connection.cloud.arm,
            policies=[
                RequestIdPolicy(),
                UserAgentPolicy(),
                ContentDecodePolicy(),
                PacedPatience(),
                AsyncARMChallengeAuthenticationPolicy(connection.credential, connection.cloud.arm_scope),
            ],
            **connection.options(connection.cloud.arm),
        )


def _grants(role: Mapping[str, Any], action: str) -> bool:
    """Whether a role allows an action; what it excludes, another role may still allow."""
    return _covers(role.get("actions"), action) and not _covers(role.get("notActions"), action)


def _covers(patterns: Iterable[str] | None, action: str) -> bool:
    """Whether a list of actions with `*` for anything has this one."""
    return any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), action, re.IGNORECASE) for pattern in patterns or ()
    )
