"""The door of one RPC method: plain arguments in, the contract's request to the method, its answer out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import orjson
from nameko.exceptions import ConfigurationError, IncorrectSignature
from nameko.extensions import register_entrypoint
from nameko.rpc import Rpc as NamekoRpc

from shared.contracts import checking
from shared.contracts.method import Method
from shared.nameko_ext.requests import Requests

Function = TypeVar("Function", bound=Callable[..., Any])


class Rpc(NamekoRpc):
    """A method of the contract. Speaks stock Nameko on the wire, and nothing that comes over it can end the service."""

    rpc_consumer = Requests()

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method
        self._fields = tuple(msgspec.structs.fields(method.request))
        self._names = tuple(field.encode_name for field in self._fields)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(method.request)
        self._required = frozenset(field.encode_name for field in self._fields if field.required)

    def setup(self) -> None:
        """Open the door. Raises ``ConfigurationError`` when it carries another name than the contract's."""
        if self.method.name != self.method_name or self.method.service != self.container.service_name:
            raise ConfigurationError(
                f"{self.container.service_name}.{self.method_name} is no {self.method.routing_key}"
            )
        self.rpc_consumer.open_door(self.method.name, self)

    def stop(self) -> None:
        """Called for each door; the first call drains all."""
        self.rpc_consumer.drain()

    def name_arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by field name. Raises Nameko's ``IncorrectSignature``."""
        if len(args) > len(self._names):
            raise IncorrectSignature(f"{self.method.name}() takes at most {len(self._names)} arguments")
        fields = dict(zip(self._names, args, strict=False))
        if twice := sorted(fields.keys() & kwargs.keys()):
            raise IncorrectSignature(f"{self.method.name}() got several values for {', '.join(twice)}")
        if unknown := sorted(kwargs.keys() - set(self._names)):
            raise IncorrectSignature(f"{self.method.name}() got unexpected arguments {', '.join(unknown)[:200]}")
        fields.update(kwargs)
        if missing := sorted(self._required - fields.keys()):
            raise IncorrectSignature(f"{self.method.name}() misses arguments {', '.join(missing)}")
        return fields

    def read(self, fields: Mapping[str, Any]) -> Any:
        """The contract's request from its fields. Raises ``InvalidRequest``."""
        return checking.read(self.method.request, dict(fields))

    def read_json(self, kwargs: msgspec.Raw) -> Any:
        """The contract's request from an object of JSON. Raises ``InvalidRequest`` and ``IncorrectSignature``."""
        try:
            return self._decoder.decode(kwargs)
        except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError):
            return self.read(self.name_arguments((), _read_object(kwargs)))  # slower, but it names every fault


def _read_object(raw: msgspec.Raw) -> dict[str, Any]:
    try:
        read = orjson.loads(bytes(raw))
    except orjson.JSONDecodeError:
        raise IncorrectSignature("the arguments are no JSON") from None
    if not isinstance(read, dict):
        raise IncorrectSignature("the arguments are no object")
    return read


def rpc(method: Method) -> Callable[[Function], Function]:
    """Make the function the door of this method; it takes the request and gives the answer."""

    def register(function: Function) -> Function:
        register_entrypoint(function, Rpc(method))
        return function

    return register
