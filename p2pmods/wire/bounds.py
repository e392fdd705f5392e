"""What a field of a message may hold: attrs validators, which the codec turns into a refusal of the whole message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    import attrs

    Validator = Callable[[Any, attrs.Attribute[Any], Any], None]

    class _Measured(Sized, Protocol): ...


def size(length: int) -> Validator:
    """Exactly `length` bytes, characters or elements; None passes where the field may be absent."""

    def check(_: object, attribute: attrs.Attribute[Any], value: _Measured | None) -> None:
        if value is not None and len(value) != length:
            raise ValueError(f"{attribute.name} has length {len(value)}, not {length}")

    return check


def at_most(length: int) -> Validator:
    """No more than `length` bytes, characters or elements; None passes where the field may be absent."""

    def check(_: object, attribute: attrs.Attribute[Any], value: _Measured | None) -> None:
        if value is not None and len(value) > length:
            raise ValueError(f"{attribute.name} has length {len(value)}, more than {length}")

    return check


def between(low: int, high: int) -> Validator:
    """`low` and `high` are allowed too; None passes where the field may be absent."""

    def check(_: object, attribute: attrs.Attribute[Any], value: int | None) -> None:
        if value is not None and not low <= value <= high:
            raise ValueError(f"{attribute.name} is {value}, not within {low} to {high}")

    return check
