"""The control API: plain HTTP on the simulator's own port, for tests, the demo and App Service's identity."""

import asyncio
import contextlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from aiohttp import web

from simulator import arm, keyvault
from simulator import estate as estates
from simulator.accounts import KINDS, Account
from simulator.azure import Azure
from simulator.clock import running_time, stamp
from simulator.estate import EstateError, read_account, read_secret
from simulator.faults import Fault
from simulator.history import history
from simulator.reader import Reader
from simulator.timeline import Timeline
from simulator.vaults import State, Vault
from simulator.verdict import verdict
from simulator.world import Behaviour, Denial, Latency, World

LONGEST_WAIT = 60.0
IDENTITY_PATH = "/msi/token"
ACTIONS = (
    *keyvault.ACTIONS,
    *(action for kind in KINDS.values() for action in kind.actions),
    *arm.STATUS_RIGHTS.values(),
)


class RequestError(Exception):
    """The control request cannot be done; answered with its status and complaints."""

    def __init__(self, status: int, *complaints: str) -> None:
        super().__init__(*complaints)
        self.status = status
        self.complaints = complaints


class Control:
    """What tests and the demo may see and change."""

    def __init__(self, azure: Azure) -> None:
        self._azure = azure
        self._former_keys: list[str] = []

    @property
    def _world(self) -> World:
        return self._azure.world

    def keys(self) -> list[str]:
        """Every key that ever existed, also in the estates before."""
        return [*self._former_keys, *_keys_of(self._world)]

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one plain HTTP request."""
        if request.raw_path.startswith("http://"):
            return self._azure.refuse(request)
        if request.path == IDENTITY_PATH:
            return await self._azure.serve_identity(request)
        body = await request.read()
        try:
            return web.json_response(await self._route(request, json.loads(body) if body else None))
        except ValueError as error:
            return web.json_response({"complaints": [f"body: {error}"]}, status=400)
        except RequestError as wrong:
            return web.json_response({"complaints": wrong.complaints}, status=wrong.status)

    async def _route(self, request: web.BaseRequest, told: object) -> object:  # noqa: C901, PLR0911, PLR0912  # the routes
        match (request.method, *request.path.strip("/").split("/")):
            case ("GET", "healthz"):
                return {"status": "ready"}
            case ("GET", "journal"):
                return self._world.journal.since(_number(request, "since", 0))
            case ("DELETE", "journal"):
                self._world.journal.clear()
                return {}
            case (_, "faults", *rest):
                return await self._faults(request, rest, told)
            case ("GET", "behaviour"):
                return self._behaviour()
            case ("PATCH", "behaviour"):
                return self._behave(told)
            case (_, "denials"):
                return self._denials(request.method, told)
            case ("GET", "keys"):
                return self.keys()
            case ("GET", "keys", "present"):
                return _keys_of(self._world)
            case ("GET", "verdict"):
                return verdict(self._world)
            case ("GET", "history"):
                return history(self._world)
            case ("POST", "estate"):
                return self._reset(told)
            case (_, "accounts", *rest):
                return self._accounts(request.method, rest, told)
            case (_, "vaults", *rest):
                return self._vaults(request.method, rest, told)
        raise RequestError(404, f"{request.method} {request.path} is no control request")

    async def _faults(self, request: web.BaseRequest, rest: list[str], told: object) -> object:
        faults = self._world.faults
        match (request.method, *rest):
            case ("GET",):
                return faults.all()
            case ("POST",):
                fault: Fault = _read(told, faults.add)
                return fault.as_json()
            case ("DELETE",):
                faults.lift_all()
                return {}
            case ("GET", fault_id):
                return await _watched(_found(faults.get(fault_id), fault_id), _number(request, "wait", 0.0))
            case ("DELETE", fault_id):
                _found(faults.get(fault_id), fault_id)
                faults.lift(fault_id)
                return {}
        raise RequestError(405, "faults: GET, POST or DELETE")

    def _behaviour(self) -> dict[str, Any]:
        return asdict(self._world.behaviour)

    def _behave(self, told: object) -> dict[str, Any]:
        before = self._world.behaviour
        self._world.behaviour = _read(told, partial(_behaviour, before))
        if before.quotas != self._world.behaviour.quotas:
            self._world.quotas.refill()
        self._world.clock.offset = self._world.behaviour.clock_offset
        return self._behaviour()

    def _denials(self, method: str, told: object) -> object:
        world = self._world
        if method == "POST":
            world.denials.append(_read(told, _denial))
        elif method == "DELETE":
            world.denials.clear()
        return [asdict(denial) for denial in world.denials]

    def _reset(self, told: object) -> dict[str, Any]:
        try:
            world = estates.build(estates.default_estate() if told is None else told)
        except EstateError as bad:
            raise RequestError(400, *bad.complaints) from bad
        self._former_keys += _keys_of(self._world)
        self._world.faults.lift_all()
        self._azure.world = world
        return {"vaults": vault_urls(world), "accounts": [account.id for account in world.accounts.values()]}

    def _accounts(self, method: str, rest: list[str], told: object) -> object:
        world = self._world
        match (method, *rest):
            case ("GET",):
                return [_shown(world, account) for account in world.accounts.values()]
            case ("POST",):
                account = _read(told, partial(read_account, world))
                world.accounts[account.name.lower()] = account
                return _shown(world, account)
            case ("GET", name):
                return _shown(world, _found(world.account(name), name))
            case ("PATCH", name):
                account = _found(world.account(name), name)
                _switch(account, told, "locked", "shared_keys")
                return _shown(world, account)
            case ("POST", name, "regenerate"):
                account = _found(world.account(name), name)
                slot = _read(told, partial(_slot, account))
                world.regenerate(account, slot)
                return _shown(world, account)
        raise RequestError(404, "accounts: not a control request")

    def _vaults(self, method: str, rest: list[str], told: object) -> object:
        world = self._world
        match (method, *rest):
            case ("GET",):
                return [{"name": vault.name, "firewall": vault.firewall} for vault in world.vaults.values()]
            case ("PATCH", name):
                vault = _found(world.vault(name), name)
                _switch(vault, told, "firewall")
                return {"name": vault.name, "firewall": vault.firewall}
            case ("POST", name, "secrets"):
                vault = _found(world.vault(name), name)
                vault.put(*_read(told, partial(read_secret, world, vault)), running_time())
                return {}
            case ("PATCH", name, "secrets", secret):
                vault = _found(world.vault(name), name)
                state = _found((vault.secrets.get(secret.lower()) or Timeline(None)).now, secret)
                now = int(world.clock.now().timestamp())
                vault.put(secret, _read(told, partial(_edited, state, now)), running_time())
                return {}
        raise RequestError(404, "vaults: not a control request")


def vault_urls(world: World) -> list[str]:
    """The URLs of the estate's vaults."""
    return [f"https://{vault.name}.{world.cloud.vault}" for vault in world.vaults.values()]


def _keys_of(world: World) -> list[str]:
    return [key.value for account in world.accounts.values() for key in account.all_keys()]


def _shown(world: World, account: Account) -> dict[str, Any]:
    world.settle(account)
    accepted = account.accepted(world.clock.now())
    return {
        "id": account.id,
        "name": account.name,
        "type": account.kind.name,
        "locked": account.locked,
        "shared_keys": account.shared_keys,
        "slots": {
            slot: {
                "fingerprint": line.now.fingerprint,
                "created": stamp(line.now.created),
                "accepted": slot in accepted,
                "regenerated": len(line.states()) - 1,
            }
            for slot, line in account.slots.items()
        },
    }


async def _watched(fault: Fault, wait: float) -> dict[str, Any]:
    if wait and not fault.hits:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(fault.hit.wait(), min(wait, LONGEST_WAIT))
    return fault.as_json()


def _read(told: object, read: Callable[[Reader], Any]) -> Any:  # noqa: ANN401  # gives back what was read
    complaints: list[str] = []
    thing = read(Reader(told, "", complaints))
    if complaints:
        raise RequestError(400, *complaints)
    return thing


def _found(thing: Any, name: str) -> Any:  # noqa: ANN401  # gives back what it was given
    if thing is None:
        raise RequestError(404, f"{name} is not there")
    return thing


def _number(request: web.BaseRequest, name: str, default: float) -> Any:  # noqa: ANN401  # of the type of its default
    try:
        return type(default)(request.query.get(name, default))
    except ValueError as error:
        raise RequestError(400, f"{name}: has to be a number") from error


def _behaviour(current: Behaviour, reader: Reader) -> Behaviour:
    latency = reader.inner("latency")
    delays = {name: latency.number(name, value) for name, value in asdict(current.latency).items()}
    latency.done()
    offset = reader.number("clock_offset", current.clock_offset, least=-math.inf)
    located = reader.take("operations_located", bool, current.operations_located)
    special = ("latency", "clock_offset", "operations_located")
    others = {name: value for name, value in asdict(current).items() if name not in special}
    rest: dict[str, Any] = {name: reader.number(name, value) for name, value in others.items()}
    reader.done()
    return Behaviour(latency=Latency(**delays), clock_offset=offset, operations_located=located, **rest)


def _denial(reader: Reader) -> Denial:
    denial = Denial(reader.required("action"), reader.take("scope", str))
    reader.done()
    if denial.action.lower() not in {action.lower() for action in ACTIONS}:
        reader.complain("action", f"has to be one of {', '.join(ACTIONS)}")
    return denial


def _edited(state: State, now: int, reader: Reader) -> State:
    """A secret after somebody edited or renewed its current version, or deleted or recovered it."""
    current = state.current
    tags: dict[str, Any] = {**(current.tags or {}), **reader.take("tags", dict, {})}
    enabled = reader.take("enabled", bool, current.enabled)
    deleted = reader.take("deleted", bool, state.deleted is not None)
    renewed = reader.take("renewed", bool)
    reader.done()
    kept = {name: value for name, value in tags.items() if value is not None}
    if not all(isinstance(value, str) for value in kept.values()):
        reader.complain("tags", "has to have texts or nulls")
    edited = replace(current, tags=kept, enabled=enabled, updated=now)
    changed = state.with_version(edited.renewed(now)) if renewed else state.with_changed(edited)
    return replace(changed, deleted=(state.deleted or now) if deleted else None)


def _slot(account: Account, reader: Reader) -> str:
    slot = reader.required("slot")
    reader.done()
    if slot not in account.slots:
        reader.complain("slot", f"has to be one of {', '.join(account.slots)}")
    return slot


def _switch(target: Account | Vault, told: object, *names: str) -> None:
    """Set some of the named fields to true or false."""

    def switches(reader: Reader) -> dict[str, bool]:
        wanted = {name: reader.take(name, bool) for name in names if reader.has(name)}
        reader.done()
        return wanted

    for name, value in _read(told, switches).items():
        setattr(target, name, value)
