"""What the worker library takes from the host's protobuf messages, in plain Python.

The library is given its message classes by whoever loads it: it calls them with keywords, compares a few constants and
asks which member of a `oneof` is set. Source: azure_functions_runtime and FunctionRpc.proto.
"""

from types import SimpleNamespace
from typing import ClassVar


class _Message(SimpleNamespace):
    """A message: the fields that it was made with."""

    _oneof: ClassVar[tuple[str, ...]] = ()

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802  the name that protobuf has
        """Return the member that is set."""
        return next((field for field in self._oneof if getattr(self, field, None) is not None), None)


class TypedData(_Message):
    """A value on its way in or out."""

    _oneof = ("string", "json", "bytes", "http", "int", "double")


class ParameterBinding(_Message):
    """The value of one parameter."""

    _oneof = ("data",)


class StatusResult(_Message):
    """How something ended."""

    Failure: ClassVar = 0
    Success: ClassVar = 1
    Cancelled: ClassVar = 2


class BindingInfo(_Message):
    """A binding; a data type that is not told counts as undefined."""

    undefined: ClassVar = 0
    out: ClassVar = 1
    inout: ClassVar = 2


PROTOS = SimpleNamespace(
    BindingInfo=BindingInfo,
    ParameterBinding=ParameterBinding,
    StatusResult=StatusResult,
    TypedData=TypedData,
    **{
        name: type(name, (_Message,), {})
        for name in (
            "FunctionLoadResponse",
            "FunctionMetadataResponse",
            "InvocationResponse",
            "RpcException",
            "RpcFunctionMetadata",
            "RpcHttp",
            "RpcRetryOptions",
            "WorkerInitResponse",
            "WorkerMetadata",
        )
    },
)


def request(**told: object) -> SimpleNamespace:
    """A request of the host, with what the library finds beside it."""
    return SimpleNamespace(request=SimpleNamespace(**told), properties={"protos": PROTOS, "host": "127.0.0.1"})
