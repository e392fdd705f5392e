"""Messages between nodes: attrs classes with a number each, and their one encoding.

A message is a msgpack array: its number, then its fields in the order of their declaration. A nested part is an array
of its fields. The length is checked before anything is decoded, maps and extensions are refused, types are exact
(no number in the place of a text, no flag in the place of a number), and an array with one field too many or too few
is refused. A new field therefore needs a new number: both sides always mean the same.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeVar, dataclass_transform, get_args, get_origin

import attrs
import msgpack
from cattrs import Converter

from p2pmods.errors import MalformedData

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_MESSAGE: Final = 64 << 10  # bytes of one encoded message
MAX_ELEMENTS: Final = 1024  # of one array: msgpack makes room for as many as its head claims, before it sees them
MAX_INT: Final = (1 << 64) - 1  # msgpack's own

T = TypeVar("T")

_converter = Converter(detailed_validation=False)
_by_number: dict[int, type] = {}
_numbers: dict[type, int] = {}


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def part(cls: type[T]) -> type[T]:
    """Make `cls` a value that stands inside messages: frozen, its fields typed and bounded (see bounds.py)."""
    return attrs.frozen(cls)


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def message(number: int) -> Callable[[type[T]], type[T]]:
    """Make a class a message of this number."""

    def register(cls: type[T]) -> type[T]:
        made = attrs.frozen(cls)
        if number in _by_number:
            raise ValueError(f"{_by_number[number].__name__} and {made.__name__} are both number {number}")
        _by_number[number] = made
        _numbers[made] = number
        return made

    return register


def evolve(value: T, **changes: object) -> T:
    """A copy of a message or part with other values in some fields, checked like every value."""
    made: Any = value  # type checkers do not see through the decorators above that it is an attrs class
    return attrs.evolve(made, **changes)  # type: ignore[no-any-return]


def registered() -> dict[int, type]:
    """Every message there is, by number."""
    return dict(_by_number)


def encode(msg: object) -> bytes:
    """The bytes of a message. Raises ValueError for one that the other side would refuse for its length."""
    data: bytes = msgpack.packb([_numbers[type(msg)], *_fields(msg)])
    if len(data) > MAX_MESSAGE:
        raise ValueError(f"a {type(msg).__name__} of {len(data)} bytes, more than {MAX_MESSAGE}")
    return data


def encode_part(value: object) -> bytes:
    """The bytes of a part by itself, for what is signed or stored."""
    data: bytes = msgpack.packb(_fields(value))
    return data


def decode(data: bytes | memoryview) -> Any:
    """The message in `data`. Raises MalformedData for everything that `encode` does not make."""
    number, *values = _unpack(data)
    cls = _by_number.get(number) if type(number) is int else None
    if cls is None:
        raise MalformedData("message", "a number that is not known here")
    return _structure(values, cls)


def decode_as(cls: type[T], data: bytes | memoryview) -> T:
    """The message in `data`, which is a `cls`. Raises MalformedData."""
    found = decode(data)
    if not isinstance(found, cls):
        raise MalformedData("message", f"a {type(found).__name__} where a {cls.__name__} should be")
    return found


def decode_part(cls: type[T], data: bytes | memoryview) -> T:
    """What `encode_part` made of a `cls`. Raises MalformedData."""
    return _structure(_unpack(data), cls)


def _fields(value: Any) -> list[Any]:
    return [_plain(getattr(value, field.name)) for field in attrs.fields(type(value))]


def _plain(value: Any) -> Any:
    if type(value) is tuple:
        return [_plain(item) for item in value]
    return _fields(value) if attrs.has(type(value)) else value


def _unpack(data: bytes | memoryview) -> list[Any]:
    if len(data) > MAX_MESSAGE:
        raise MalformedData("message", f"{len(data)} bytes, more than {MAX_MESSAGE}")
    try:
        values = msgpack.unpackb(data, max_array_len=MAX_ELEMENTS, max_map_len=0, max_ext_len=0)
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise MalformedData("message", f"not msgpack as it is used here ({type(error).__name__})") from error
    if not isinstance(values, list) or not values:
        raise MalformedData("message", "no array of fields")
    return values


def _structure(values: list[Any], cls: type[T]) -> T:
    try:
        return _converter.structure(values, cls)
    except (TypeError, ValueError) as error:
        raise MalformedData("message", f"{cls.__name__}: {error}") from error


def _exactly(wanted: type) -> Callable[[object, object], Any]:
    def structure(value: object, _: object) -> object:
        if type(value) is not wanted:
            raise TypeError(f"a {type(value).__name__} where a {wanted.__name__} should be")
        if wanted is float and not math.isfinite(value):  # type: ignore[arg-type]
            raise ValueError("a float that is no number")
        return value

    return structure


def _tuple_hook(kind: Any) -> Callable[[object, object], tuple[Any, ...]]:
    (inner, _) = get_args(kind)
    structure_one = _converter.get_structure_hook(inner)

    def structure(value: object, _: object) -> tuple[Any, ...]:
        if type(value) is not list:
            raise TypeError(f"a {type(value).__name__} where a list should be")
        return tuple([structure_one(item, inner) for item in value])

    return structure


def _is_tuple(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is tuple


def _attrs_hook(cls: Any) -> Callable[[object, object], Any]:
    types = [field.type for field in attrs.fields(attrs.resolve_types(cls))]
    hooks = [(_converter.get_structure_hook(kind), kind) for kind in types]

    def structure(value: object, _: object) -> object:
        if type(value) is not list or len(value) != len(hooks):
            raise TypeError(f"not the {len(hooks)} fields of a {cls.__name__}")
        return cls(*[hook(item, kind) for (hook, kind), item in zip(hooks, value, strict=True)])

    return structure


for _kind in (int, str, bytes, bool, float):
    _converter.register_structure_hook(_kind, _exactly(_kind))
_converter.register_structure_hook_factory(attrs.has, _attrs_hook)
_converter.register_structure_hook_factory(_is_tuple, _tuple_hook)
