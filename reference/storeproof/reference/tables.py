"""The state of the model: relations as nested dicts that are never changed once they are in a state.

`{relation: {first key part: row}}` where the key has one part, else `{relation: {first key part: {rest: row}}}`, where
rest is the second part, or a tuple of the others. A Draft copies what it touches and shares the rest, so a state is a
snapshot that costs nothing to keep. This module knows nothing of operations.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeAlias

from storeproof.spec.jsonvalues import is_array, is_object

Row: TypeAlias = dict[str, Any]
Table: TypeAlias = dict[Any, Any]
State: TypeAlias = Mapping[str, Table]
"""Read it with `rows`, compare it by `freeze`."""
Key: TypeAlias = tuple[Any, ...]


def rows(state: State, relation: str, width: int) -> Iterable[Row]:
    """The rows of a relation whose key has `width` parts, in no order that means anything."""
    table = state[relation]
    return list(table.values()) if width == 1 else [row for group in table.values() for row in group.values()]


def freeze(state: State) -> Hashable:
    """A hashable value that is equal for equal states and for no others (1 is 1.0, true is not 1)."""
    if len(_kept) > _KEPT:
        _kept.clear()
    return tuple([_frozen_once(table, 2) for table in state.values()])


_KEPT = 200_000
_kept: dict[int, tuple[object, Hashable]] = {}
"""What tables, groups and rows were frozen to, by identity: states share most of theirs, and none ever changes. Each
is kept with its value, so that its identity is not used again. Without this a search would freeze every row anew."""


def _frozen_once(value: object, depth: int) -> Hashable:
    if not is_object(value):
        return _frozen(value)
    known = _kept.get(id(value))
    if known is None:
        items = [(key, _frozen_once(item, depth - 1) if depth else _frozen(item)) for key, item in value.items()]
        known = _kept[id(value)] = (value, frozenset(items))
    return known[1]


def _frozen(value: object) -> Hashable:
    if is_object(value):
        return frozenset([(key, _frozen(item)) for key, item in value.items()])
    if is_array(value):
        return tuple([_frozen(item) for item in value])
    if isinstance(value, bool):
        return b"true" if value else b"false"  # Python's True equals 1; no JSON value is bytes
    assert isinstance(value, Hashable)
    return value


class Draft:
    """A state in the making; `tables` is a state as soon as nobody touches the draft any more."""

    __slots__ = ("_copied", "tables")

    def __init__(self, state: State) -> None:
        self.tables: dict[str, Table] = dict(state)
        self._copied: set[object] = set()

    def put(self, relation: str, key: Key, row: Row) -> None:
        """Inserts the row, or replaces the one of the same key."""
        if len(key) == 1:
            self._table(relation)[key[0]] = row
        else:
            self._group(relation, key[0])[_rest(key)] = row

    def get(self, relation: str, key: Key) -> Row | None:
        row: Row | None
        if len(key) == 1:
            row = self.tables[relation].get(key[0])
        else:
            row = self.tables[relation].get(key[0], {}).get(_rest(key))
        return row

    def update(self, relation: str, key: Key, unset: tuple[str, ...], changes: Row) -> None:
        """Takes fields away and sets others, if there is such a row."""
        row = self.get(relation, key)
        if row is not None:
            changed = {name: value for name, value in row.items() if name not in unset} if unset else dict(row)
            changed.update(changes)
            self.put(relation, key, changed)

    def delete(self, relation: str, key: Key, width: int) -> None:
        """Drops every row whose key, of `width` parts, begins with `key`."""
        first = key[0]
        if first not in self.tables[relation]:
            return
        if len(key) == 1:
            del self._table(relation)[first]
            self._copied.discard((relation, first))
            return
        group = self._group(relation, first)
        if len(key) == width:
            group.pop(_rest(key), None)
        else:
            for rest in [rest for rest in group if rest[: len(key) - 1] == key[1:]]:
                del group[rest]
        if not group:  # an empty group would make equal states look different
            del self._table(relation)[first]
            self._copied.discard((relation, first))

    def _table(self, relation: str) -> Table:
        if relation not in self._copied:
            self._copied.add(relation)
            self.tables[relation] = dict(self.tables[relation])
        return self.tables[relation]

    def _group(self, relation: str, first: object) -> Table:
        table = self._table(relation)
        if (relation, first) not in self._copied:
            self._copied.add((relation, first))
            table[first] = dict(table.get(first, ()))
        group: Table = table[first]
        return group


def _rest(key: Key) -> object:
    return key[1] if len(key) == 2 else key[1:]
