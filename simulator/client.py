"""A small client of the control API, for tests and the demo; the standard library is all it needs."""

import json
import urllib.error
import urllib.request
from typing import Any

WAIT_MARGIN = 30.0


class ControlError(Exception):
    """The simulator refused a control request; says why."""


class ControlClient:
    """What tests do to a running simulator."""

    def __init__(self, url: str) -> None:
        self.url = url
        # A proxy in the environment is for Azure's names, never for the control API.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def request(self, method: str, path: str, body: object = None, timeout: float = WAIT_MARGIN) -> Any:  # noqa: ANN401  # JSON
        """One control request, for what has no method of its own here; `timeout` in seconds."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)  # noqa: S310  # our own URL
        try:
            with self._opener.open(asked, timeout=timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise ControlError(f"{method} {path}: {error.code} {error.read().decode()}") from None

    def reset(self, estate: dict[str, Any] | None = None) -> dict[str, Any]:
        """A new estate (None: the default one), with no faults, denials, delays or journal."""
        told: dict[str, Any] = self.request("POST", "/estate", estate)
        return told

    def journal(self, since: int = 0) -> list[dict[str, Any]]:
        """The requests numbered above `since`."""
        entries: list[dict[str, Any]] = self.request("GET", f"/journal?since={since}")
        return entries

    def clear_journal(self) -> None:
        """Forget the requests so far."""
        self.request("DELETE", "/journal")

    def fault(self, **told: Any) -> str:  # noqa: ANN401  # fields of a fault
        """Add a fault; its id."""
        return str(self.request("POST", "/faults", told)["id"])

    def faults(self) -> list[dict[str, Any]]:
        """The faults in force."""
        told: list[dict[str, Any]] = self.request("GET", "/faults")
        return told

    def hits(self, fault_id: str, wait: float = 0) -> int:
        """How often a fault has struck, after waiting up to `wait` seconds for the first time."""
        told = self.request("GET", f"/faults/{fault_id}?wait={wait:g}", timeout=wait + WAIT_MARGIN)
        return int(told["hits"])

    def lift(self, fault_id: str | None = None) -> None:
        """Take away one fault, or all of them."""
        self.request("DELETE", f"/faults/{fault_id}" if fault_id else "/faults")

    def behave(self, **told: Any) -> dict[str, Any]:  # noqa: ANN401  # fields of the behaviour
        """Change delays, latencies or the clock; the whole behaviour afterwards."""
        behaviour: dict[str, Any] = self.request("PATCH", "/behaviour", told)
        return behaviour

    def deny(self, action: str, scope: str | None = None) -> None:
        """Take a right away, everywhere or on one account or vault."""
        self.request("POST", "/denials", {"action": action, "scope": scope})

    def allow_all(self) -> None:
        """Give every right back."""
        self.request("DELETE", "/denials")

    def accounts(self) -> list[dict[str, Any]]:
        """The accounts, with fingerprints in place of keys."""
        told: list[dict[str, Any]] = self.request("GET", "/accounts")
        return told

    def account(self, name: str) -> dict[str, Any]:
        """One account."""
        told: dict[str, Any] = self.request("GET", f"/accounts/{name}")
        return told

    def change_account(self, name: str, **told: bool) -> dict[str, Any]:
        """Set `locked` or `shared_keys`."""
        account: dict[str, Any] = self.request("PATCH", f"/accounts/{name}", told)
        return account

    def regenerate(self, name: str, slot: str) -> dict[str, Any]:
        """Do what an operator does in the portal."""
        account: dict[str, Any] = self.request("POST", f"/accounts/{name}/regenerate", {"slot": slot})
        return account

    def add_account(self, **told: Any) -> None:  # noqa: ANN401  # fields of an estate's account
        """Add an account to the estate."""
        self.request("POST", "/accounts", told)

    def add_secret(self, vault: str, **told: Any) -> None:  # noqa: ANN401  # fields of an estate's secret
        """Add a secret to a vault."""
        self.request("POST", f"/vaults/{vault}/secrets", told)

    def change_secret(self, vault: str, name: str, **told: Any) -> None:  # noqa: ANN401  # what is changed
        """Do what a person does to a secret in the portal; tags that are None go, others stay."""
        self.request("PATCH", f"/vaults/{vault}/secrets/{name}", told)

    def firewall(self, vault: str, *, closed: bool) -> None:
        """Close or open a vault's firewall."""
        self.request("PATCH", f"/vaults/{vault}", {"firewall": closed})

    def keys(self) -> list[str]:
        """Every key that ever existed, to search other output for."""
        told: list[str] = self.request("GET", "/keys")
        return told

    def present_keys(self) -> list[str]:
        """Those that the accounts of the present estate have or had."""
        told: list[str] = self.request("GET", "/keys/present")
        return told

    def verdict(self) -> list[dict[str, Any]]:
        """For every secret that names an account: which slot's key it holds and whether that opens the account."""
        told: list[dict[str, Any]] = self.request("GET", "/verdict")
        return told

    def history(self) -> list[dict[str, Any]]:
        """What every key and every secret became, oldest first."""
        told: list[dict[str, Any]] = self.request("GET", "/history")
        return told
