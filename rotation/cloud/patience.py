"""How long the Azure SDKs' own retries go on."""

from http import HTTPStatus
from typing import Any

from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.policies import AsyncRetryPolicy

_CALL_SECONDS = 45
"""After this long no further attempt is begun, so that a call gives up within about a minute."""

LONGEST_WAIT = 30.0
"""Seconds; who asks for a longer pause gets it from the queue, not from a sleeping pass."""


class Patience(AsyncRetryPolicy[Any, Any]):
    """The SDK's retries, except that nobody is kept waiting longer than `LONGEST_WAIT` by a Retry-After."""

    def __init__(self, **_: Any) -> None:  # noqa: ANN401  azure-identity tells each policy all that it knows
        super().__init__(retry_total=3, retry_backoff_max=5, timeout=_CALL_SECONDS)

    def is_retry(self, settings: dict[str, Any], response: PipelineResponse[Any, Any]) -> bool:
        """Tell whether to try again."""
        return bool(super().is_retry(settings, response)) and (self.get_retry_after(response) or 0) <= LONGEST_WAIT


class PacedPatience(Patience):
    """The same where what was refused for a quota has been sent again already, at the pace of that quota."""

    def is_retry(self, settings: dict[str, Any], response: PipelineResponse[Any, Any]) -> bool:
        """Tell whether to try again."""
        return response.http_response.status_code != HTTPStatus.TOO_MANY_REQUESTS and super().is_retry(
            settings, response
        )
