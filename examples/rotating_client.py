"""How an application reads a key that is rotated; copy this file, it needs nothing else of this project.

The client is made once and kept. The secret is read again

    every few minutes          the previous key stays valid much longer, so no request ever fails for a rotation
    when the service refuses   a compromised key is cut off without a warning; the request is repeated once
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from azure.core.exceptions import AzureError, HttpResponseError
from azure.keyvault.secrets import SecretClient

Client = TypeVar("Client")
Answer = TypeVar("Answer")

KEY_REFUSED = (401, 403)

log = logging.getLogger(__name__)


class RotatingClient(Generic[Client]):
    """A client of an Azure service, made from the current value of a Key Vault secret; threads may share it.

    `connect` makes a client from the secret's value. The secret is read again every `max_age` seconds, which has to be
    far less than the overlap of two keys. When reading again did not cure a refusal, further refusals cause no reading
    for `patience` seconds: what is missing is a permission, and asking Key Vault more often does not give it.
    A new value from which no client can be made is left alone, and tried again with the next reading.
    Raises at once when the secret cannot be read the first time (an AzureError), or makes no client (what `connect`
    raises).
    """

    def __init__(
        self,
        secrets: SecretClient,
        name: str,
        connect: Callable[[str], Client],
        *,
        max_age: float = 300.0,
        patience: float = 30.0,
    ) -> None:
        self.repeats = 0
        self._secrets = secrets
        self._name = name
        self._connect = connect
        self._max_age = max_age
        self._patience = patience
        self._reading = threading.Lock()
        self._patient_until = 0.0
        self._read_next = time.monotonic() + max_age
        self._value = self._read()
        self._client = connect(self._value)

    def call(self, request: Callable[[Client], Answer]) -> Answer:
        """Do a request with the current key; a refused one is repeated once if the secret holds another key by now."""
        client = self._current()
        try:
            return request(client)
        except HttpResponseError as error:
            if error.status_code not in KEY_REFUSED or not self._replaced(client):
                raise
        return request(self._client)

    def _current(self) -> Client:
        # While one thread reads, the others go on with the key they have: a slow vault must not stop the application.
        if time.monotonic() >= self._read_next and self._reading.acquire(blocking=False):
            try:
                self._read_again()
            finally:
                self._reading.release()
        return self._client

    def _replaced(self, refused: Client) -> bool:
        """Whether there is another client than the refused one, after reading again if that may help."""
        with self._reading:
            if self._client is refused and time.monotonic() >= self._patient_until:
                self._read_again()
                if self._client is refused:
                    self._patient_until = time.monotonic() + self._patience
            if self._client is refused:
                return False
            self.repeats += 1
            return True

    def _read_again(self) -> None:
        self._read_next = time.monotonic() + self._max_age
        try:
            value = self._read()
        except AzureError as error:
            # The key in memory outlives a vault that cannot be reached.
            log.warning("%s could not be read again: %s", self._name, error.message)
            return
        if value != self._value:
            self._take(value)

    def _take(self, value: str) -> None:
        try:
            client = self._connect(value)
        except Exception as error:  # noqa: BLE001  # whatever a parser raises, the client in use goes on working
            # Only the type: the text may quote the value.
            log.warning("%s holds a new value that makes no client: %s", self._name, type(error).__name__)
            return
        self._value, self._client = value, client

    def _read(self) -> str:
        # Without a version: a pinned version is a key that will be refused one day.
        return self._secrets.get_secret(self._name).value or ""
