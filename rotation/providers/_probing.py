"""What a data plane's answer says about the key that signed the request."""

import base64
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from azure.core.exceptions import HttpResponseError

from rotation.cloud.translate import inner_code
from rotation.model import Sensitive
from rotation.ports import Probe


async def probed(ask: Callable[[], Awaitable[object]], refusals: frozenset[str] = frozenset()) -> Probe:
    """Send one signed request.

    A 401 is about the key; a 403 is only with one of the codes in `refusals`, else it is about the network.
    """
    try:
        await ask()
    except HttpResponseError as error:
        forbidden = error.status_code == HTTPStatus.FORBIDDEN and inner_code(error) in refusals
        refused = forbidden or error.status_code == HTTPStatus.UNAUTHORIZED
        return Probe.REFUSED if refused else Probe.UNREACHABLE
    except Exception:  # noqa: BLE001  the SDKs trip over some answers, which then say nothing of the key
        return Probe.UNREACHABLE
    return Probe.ACCEPTED


def can_sign(key: Sensitive) -> bool:
    """Whether a key is base64, which Batch and Storage decode to sign with it; their SDKs raise where it is not."""
    try:
        return bool(base64.b64decode(key.reveal()))
    except ValueError:
        return False
