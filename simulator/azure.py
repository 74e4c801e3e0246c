"""Every request to Azure: found its service, journalled, delayed, made to fail or answered."""

import asyncio
import random
import socket
import struct
from contextlib import suppress

from aiohttp import web

from simulator import arm, batch, entra, keyvault, storage, webpubsub
from simulator.clock import real_time, running_time
from simulator.clouds import Address, Plane, locate
from simulator.elsewhere import Elsewhere
from simulator.entra import Issuer
from simulator.faults import Fault
from simulator.journal import NOT_SIMULATED
from simulator.quotas import throttled
from simulator.wire import Call, ServiceError
from simulator.world import World

FAILURES = {
    Plane.SIGN_IN: entra.failure,
    Plane.IDENTITY: entra.failure,
    Plane.CONTROL: arm.failure,
    Plane.VAULT: keyvault.failure,
    Plane.BLOB: storage.failure,
    Plane.QUEUE: storage.failure,
    Plane.BATCH: batch.failure,
    Plane.WEBPUBSUB: webpubsub.failure,
}
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
CLIENT_CHECK_SECONDS = 0.2
TOO_MANY_REQUESTS = 429


class ClientGoneError(Exception):
    """The connection was cut; there is nobody to answer."""


class Azure:
    """The services of one world, behind one door."""

    def __init__(self, world: World, issuer: Issuer) -> None:
        self.world = world
        self.issuer = issuer
        self._elsewhere = Elsewhere(issuer)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request that came through a tunnel."""
        address = locate(request.host.removesuffix(":443"), self.world.cloud)
        if address is None:
            return self.refuse(request)
        return await self._serve(request, address)

    def refuse(self, request: web.BaseRequest) -> web.Response:
        """Turn down a request to a host that is not played here, and write it down."""
        self.world.journal.refuse(real_time(), request.method, request.host)
        return web.Response(status=NOT_SIMULATED, text=f"{request.host} is not simulated\n")

    async def serve_identity(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request to App Service's identity endpoint, which is plain HTTP."""
        return await self._serve(request, Address(Plane.IDENTITY))

    async def _serve(self, request: web.BaseRequest, address: Address) -> web.StreamResponse:
        world = self.world
        call = await _call(request, address)
        challenged = call.plane is Plane.VAULT and keyvault.needs_sign_in(call)
        signing_in = challenged or call.plane in (Plane.SIGN_IN, Plane.IDENTITY)
        entry = world.journal.open(real_time(), call, sign_in=signing_in)
        fault = world.faults.claiming(call, challenged=challenged)
        entry.fault = fault.id if fault else None
        started = running_time()
        try:
            entry.latency = _latency(world, Plane.SIGN_IN if signing_in else call.plane)
            if entry.latency:
                await asyncio.sleep(entry.latency)
            response = await self._answer(world, call, fault, request)
        except ClientGoneError:
            return web.Response()
        finally:
            entry.duration = round(running_time() - started, 6)
        entry.status = response.status
        return response

    async def close(self) -> None:
        """Let go of the programs that play some of the hosts."""
        await self._elsewhere.close()

    async def _answer(self, world: World, call: Call, fault: Fault | None, request: web.BaseRequest) -> web.Response:
        if fault is None:
            return await self._handle(world, call)
        if fault.when == "before":
            return await _suffer(fault, call.plane, request) or await self._handle(world, call)
        response = await self._handle(world, call)
        return await _suffer(fault, call.plane, request) or response

    async def _handle(self, world: World, call: Call) -> web.Response:
        if player := world.elsewhere.get(call.host):
            return await self._elsewhere.answer(call, player)
        speed = world.behaviour.quotas
        if speed and (wait := world.quotas.refuse(call, running_time(), speed)):
            return throttled(FAILURES[call.plane](TOO_MANY_REQUESTS, None), wait)
        try:
            return self._service(world, call)
        except ServiceError as error:
            return error.answer

    def _service(self, world: World, call: Call) -> web.Response:  # noqa: PLR0911  # one line per service
        match call.plane:
            case Plane.SIGN_IN:
                return entra.answer(world, self.issuer, call)
            case Plane.IDENTITY:
                return entra.managed_identity(world, self.issuer, call)
            case Plane.CONTROL:
                return arm.answer(world, self.issuer, call)
            case Plane.VAULT:
                return keyvault.answer(world, self.issuer, call)
            case Plane.BLOB | Plane.QUEUE:
                return storage.answer(world, call)
            case Plane.BATCH:
                return batch.answer(world, call)
            case Plane.WEBPUBSUB:
                return webpubsub.answer(world, call)


async def _call(request: web.BaseRequest, address: Address) -> Call:
    url = request.rel_url
    return Call(
        plane=address.plane,
        resource=address.resource,
        method=request.method,
        host=request.host.removesuffix(":443").lower(),
        path=url.raw_path,
        query=url.query,
        target=request.raw_path,
        headers=request.headers,
        body=await request.read(),
    )


def _latency(world: World, plane: Plane) -> float:
    latency = world.behaviour.latency
    named = {Plane.CONTROL: latency.control, Plane.VAULT: latency.vault, Plane.SIGN_IN: latency.sign_in}
    seconds = named.get(plane, latency.data)
    if not seconds:
        return 0.0
    most = latency.jitter + latency.spread * seconds
    # Nothing secret depends on it.
    return round(max(0.0, seconds + random.uniform(-most, most)), 6)  # noqa: S311


async def _suffer(fault: Fault, plane: Plane, request: web.BaseRequest) -> web.Response | None:
    """Let the fault happen; None means that the request goes on as if nothing had been."""
    fault.strike()
    if fault.cut:
        _cut(request)
        raise ClientGoneError
    if fault.stall:
        await _hold(fault, request)
        return None
    if fault.delay:
        await asyncio.sleep(fault.delay)
        return None
    return _failed_answer(fault, plane)


def _failed_answer(fault: Fault, plane: Plane) -> web.Response:
    status = fault.status or 500
    response = FAILURES[plane](status, fault.code)
    if fault.body is not None:
        response = web.Response(status=status, body=fault.body.encode(), content_type="application/json")
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    if fault.location is not None:
        response.headers["Location"] = fault.location
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
    """Wait until the fault is lifted or the client has gone: what nobody waits for any more has no effect."""
    while request.transport is not None and not request.transport.is_closing():
        if fault.lifted.is_set():
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(fault.lifted.wait(), CLIENT_CHECK_SECONDS)
    raise ClientGoneError
