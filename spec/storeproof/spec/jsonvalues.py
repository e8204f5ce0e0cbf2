"""Plain JSON values: telling their kinds apart, and when two are equal. Knows nothing of the contract."""

from __future__ import annotations

from typing import Any, TypeGuard


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def equal(left: object, right: object) -> bool:
    """JSON equality: 1 equals 1.0, true does not equal 1, key order is free."""
    if isinstance(left, str) or isinstance(right, str) or left is None or right is None:
        return left == right
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if is_object(left):
        return (
            is_object(right)
            and left.keys() == right.keys()
            and all(equal(item, right[key]) for key, item in left.items())
        )
    if is_array(left):
        return is_array(right) and len(left) == len(right) and all(map(equal, left, right))
    return left == right
