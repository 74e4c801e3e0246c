"""Every request to Azure: found its service, journalled, delayed, made to fail or answered."""

import asyncio
import random
import socket
import struct

from aiohttp import web

from simulator import arm, batch, entra, keyvault, storage, webpubsub
from simulator.clock import real_time, running_time
from simulator.clouds import Address, Plane, locate
from simulator.entra import Issuer
from simulator.faults import Fault
from simulator.journal import Entry
from simulator.wire import Call, Refused
from simulator.world import World

FAILURES = {
    Plane.SIGN_IN: entra.failure,
    Plane.CONTROL: arm.failure,
    Plane.VAULT: keyvault.failure,
    Plane.BLOB: storage.failure,
    Plane.QUEUE: storage.failure,
    Plane.BATCH: batch.failure,
    Plane.WEBPUBSUB: webpubsub.failure,
}
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
CLIENT_CHECK_SECONDS = 0.2


class ClientGone(Exception):
    """The connection was cut; there is nobody to answer."""


class Azure:
    """The services of one world, behind one door."""

    def __init__(self, world: World, issuer: Issuer) -> None:
        self.world = world
        self.issuer = issuer

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request that came through the tunnel."""
        world = self.world
        host = request.host.removesuffix(":443")
        address = locate(host, world.cloud)
        if address is None:
            return web.Response(status=421, text=f"{host} is not simulated\n")
        url = request.rel_url
        call = Call(
            method=request.method,
            host=host.lower(),
            resource=address.resource,
            path=url.raw_path,
            query=url.query,
            target=request.raw_path,
            headers=request.headers,
            body=await request.read(),
        )
        challenged = address.plane is Plane.VAULT and keyvault.needs_sign_in(call)
        sign_in = challenged or address.plane is Plane.SIGN_IN
        entry = world.journal.open(
            real_time(),
            call.method,
            call.host,
            call.path,
            url.raw_query_string,
            call.headers.get("x-ms-client-request-id"),
            sign_in=sign_in,
        )
        # A vault's challenge is part of signing in: a fault meant for the request would be spent on it.
        fault = None if challenged else world.faults.claiming(call.method, call.host, call.path)
        started = running_time()
        try:
            response = await self._answer(world, address, call, fault, entry, request)
        except ClientGone:
            return web.Response()
        finally:
            entry.duration = round(running_time() - started, 6)
        entry.status = response.status
        return response

    async def take_time(self, plane: Plane) -> None:
        """Wait as long as this plane takes at the moment."""
        latency = self.world.behaviour.latency
        named = {Plane.CONTROL: latency.control, Plane.VAULT: latency.vault, Plane.SIGN_IN: latency.sign_in}
        seconds = named.get(plane, latency.data)
        if seconds:
            jitter = random.uniform(-latency.jitter, latency.jitter)  # noqa: S311  # nothing secret depends on it
            await asyncio.sleep(max(0.0, seconds + jitter))

    async def _answer(
        self,
        world: World,
        address: Address,
        call: Call,
        fault: Fault | None,
        entry: Entry,
        request: web.BaseRequest,
    ) -> web.Response:
        await self.take_time(Plane.SIGN_IN if entry.sign_in else address.plane)
        if fault:
            entry.fault = fault.id
        if fault and fault.when == "before":
            failed = await _suffer(fault, address.plane, request)
            if failed:
                return failed
        response = self._handle(world, address, call)
        if fault and fault.when == "after":
            return await _suffer(fault, address.plane, request) or response
        return response

    def _handle(self, world: World, address: Address, call: Call) -> web.Response:
        try:
            match address.plane:
                case Plane.SIGN_IN:
                    return entra.answer(world, self.issuer, call)
                case Plane.CONTROL:
                    return arm.answer(world, self.issuer, call)
                case Plane.VAULT:
                    return keyvault.answer(world, self.issuer, call)
                case Plane.BLOB | Plane.QUEUE:
                    return storage.answer(world, address.plane, call)
                case Plane.BATCH:
                    return batch.answer(world, call)
                case Plane.WEBPUBSUB:
                    return webpubsub.answer(world, call)
        except Refused as refusal:
            return refusal.answer


async def _suffer(fault: Fault, plane: Plane, request: web.BaseRequest) -> web.Response | None:
    """Let the fault happen; None means that the request goes on as if nothing had been."""
    fault.strike()
    if fault.cut:
        _cut(request)
        raise ClientGone
    if fault.stall:
        await _hold(fault, request)
        return None
    if fault.delay:
        await asyncio.sleep(fault.delay)
        return None
    return _failed_answer(fault, plane)


def _failed_answer(fault: Fault, plane: Plane) -> web.Response:
    status = fault.status or 500
    response = FAILURES[plane](status)
    if fault.body is not None:
        response = web.Response(status=status, body=fault.body.encode(), content_type="application/json")
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


def _cut(request: web.BaseRequest) -> None:
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    transport.abort()


async def _hold(fault: Fault, request: web.BaseRequest) -> None:
    """Wait until the fault is lifted or the client has gone."""
    while not fault.lifted.is_set():
        if request.transport is None or request.transport.is_closing():
            raise ClientGone
        try:
            await asyncio.wait_for(fault.lifted.wait(), CLIENT_CHECK_SECONDS)
        except TimeoutError:
            continue
