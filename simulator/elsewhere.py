"""Hosts of Azure that another program on this machine plays, such as a storage emulator, which has leases on blobs.

What they are sent comes through the same door, so that it is journalled, delayed and made to fail as everything else.
"""

from collections.abc import Iterable
from dataclasses import replace

import aiohttp
from aiohttp import web
from yarl import URL

from simulator import storage
from simulator.entra import Issuer
from simulator.signatures import sign, storage_string_to_sign
from simulator.wire import Call
from simulator.world import Player

UNREACHABLE = 502
OF_THE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding"})
"""Headers that are about one connection, and there are two."""


AUDIENCE = "https://storage.azure.com"


class Elsewhere:
    """The way to those programs."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._session: aiohttp.ClientSession | None = None

    async def answer(self, call: Call, player: Player) -> web.Response:
        """Pass a request on, whose host and signature stay as they are; a token is judged here, and signed for."""
        if player.account_key and call.headers.get("Authorization", "").startswith("Bearer "):
            claims = self._issuer.claims(call)
            if claims is None or claims["aud"] != AUDIENCE:
                return storage.failure(401, "InvalidAuthenticationInfo")
            call = _signed(call, player.account_key)
        return await self._passed_on(call, player.port)

    async def _passed_on(self, call: Call, port: int) -> web.Response:
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=False)
        url = URL(f"http://127.0.0.1:{port}{call.target}", encoded=True)
        try:
            async with self._session.request(
                call.method,
                url,
                headers=_kept(call.headers.items()),
                # The signature covers it, also where there is none.
                skip_auto_headers=["Content-Type"],
                data=call.body,
                allow_redirects=False,
            ) as told:
                return web.Response(status=told.status, body=await told.read(), headers=_kept(told.headers.items()))
        except aiohttp.ClientConnectionError:
            return web.Response(status=UNREACHABLE, text=f"nobody plays {call.host} at port {port}\n")

    async def close(self) -> None:
        """Close what is open."""
        if self._session:
            await self._session.close()


def _signed(call: Call, key: str) -> Call:
    """The same request as whoever has the account's key would send it."""
    account = call.host.partition(".")[0]
    signature = sign(storage_string_to_sign(call, account), key)
    headers = {name: value for name, value in call.headers.items() if name.lower() != "authorization"}
    return replace(call, headers={**headers, "Authorization": f"SharedKey {account}:{signature}"})


def _kept(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() not in OF_THE_CONNECTION}
