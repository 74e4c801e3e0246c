"""Puts the engine together from the settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rotation.clock import SystemClock
from rotation.cloud.connection import connect
from rotation.cloud.lease import BlobLeases, InProcessLeases
from rotation.cloud.rights import Rights
from rotation.cloud.vault import KeyVault
from rotation.ports import Clock, Tools
from rotation.providers import all_providers
from rotation.settings import Settings


@dataclass(frozen=True, slots=True)
class World:
    """The tools of the engine, and what surrounds them."""

    tools: Tools
    rights: Rights
    settings: Settings


@asynccontextmanager
async def engine(settings: Settings, clock: Clock | None = None) -> AsyncIterator[World]:
    """Hold everything that passes work with; nothing is sent before it is needed, and all is closed at the end."""
    clock = clock or SystemClock()
    async with connect(settings.cloud, settings.client_id, clock) as connection:
        yield World(
            Tools(
                vaults={name: KeyVault(name, url, connection) for name, url in settings.vaults.items()},
                providers=all_providers(connection, settings.own_storage),
                leases=BlobLeases(settings.leases, connection) if settings.leases else InProcessLeases(),
                clock=clock,
                limits=settings.limits,
            ),
            Rights(connection),
            settings,
        )
