"""The racy stores themselves: enough of them, told apart by name, and expected to break rules that exist."""

from collections import Counter

from storeproof.spec.loader import load
from tests.races_right import RIGHT
from tests.races_stores import RACY


def test_there_are_enough_on_each_backend() -> None:
    counts = Counter(store.backend for store in RACY)
    assert min(counts["postgresql"], counts["sqlite"]) >= 40


def test_names_are_unique_within_a_backend() -> None:
    names = Counter((store.backend, store.name) for store in (*RACY, *RIGHT))
    assert not [name for name, count in names.items() if count > 1]


def test_every_expected_rule_is_in_the_specification() -> None:
    assert not {rule for store in RACY for rule in store.expected} - set(load().rules)


def test_each_says_what_is_wrong_and_where_it_shows() -> None:
    assert all(len(store.says) > 60 and store.expected for store in RACY)
    assert not [store.name for store in RIGHT if store.expected]
