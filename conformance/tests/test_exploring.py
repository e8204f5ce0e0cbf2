"""The explorer runs every schedule within its bound, each once and no other; a saved one is run as it was."""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, permutations
from math import comb

import pytest
from storeproof.conformance.exploring import Explorer, Replay
from storeproof.conformance.scheduling import Choose

Schedule = tuple[int, ...]


def one_run(choose: Choose, steps: Sequence[int]) -> Schedule:
    """Clients that make so many steps each, and do nothing in them."""
    left, made, last = list(steps), list[int](), None
    while any(left):
        last = choose([client for client, count in enumerate(left) if count], last)
        left[last] -= 1
        made.append(last)
    return tuple(made)


def explored(explorer: Explorer, steps: Callable[[int], Sequence[int]]) -> Iterator[Schedule]:
    """`steps` may say something else for each run."""
    while explorer.more:
        yield one_run(explorer.choose, steps(explorer.runs))
        explorer.advance()


def every(bound: int | None, *steps: int) -> list[Schedule]:
    return list(explored(Explorer(bound), lambda _: steps))


def orders(bound: int | None, *steps: int) -> set[Schedule]:
    """What is to be found, by trying all permutations."""
    clients = [client for client, count in enumerate(steps) for _ in range(count)]
    return {order for order in permutations(clients) if bound is None or preemptions(order) <= bound}


def preemptions(order: Schedule) -> int:
    return sum(one != other and one in order[place:] for place, (one, other) in enumerate(pairwise(order), 1))


@pytest.mark.parametrize(
    ("steps", "count"),
    [((2, 2), comb(4, 2)), ((3, 3), comb(6, 3)), ((6, 6), comb(12, 6)), ((1, 5), 6), ((2, 2, 2), 90), ((7,), 1)],
)
def test_without_a_bound_there_are_as_many_as_there_are_orders(steps: tuple[int, ...], count: int) -> None:
    found = every(None, *steps)
    assert len(found) == len(set(found)) == count


@pytest.mark.parametrize("steps", [(2, 2), (3, 3), (1, 4), (4, 2), (2, 2, 2), (1, 2, 3), (0, 2)])
@pytest.mark.parametrize("bound", [0, 1, 2, 3, None])
def test_exactly_the_orders_within_the_bound_are_run(steps: tuple[int, ...], bound: int | None) -> None:
    found = every(bound, *steps)
    assert len(found) == len(set(found))
    assert set(found) == orders(bound, *steps)


@pytest.mark.parametrize(
    ("steps", "counts"),
    [((2, 2), (2, 4, 6)), ((3, 3), (2, 6, 14)), ((6, 6), (2, 12, 62, 162)), ((2, 2, 2), (6, 24, 60))],
)
def test_counts_within_bounds(steps: tuple[int, ...], counts: tuple[int, ...]) -> None:
    assert tuple(len(every(bound, *steps)) for bound in range(len(counts))) == counts


def test_the_first_schedule_preempts_nobody_and_counts_are_kept() -> None:
    explorer = Explorer(None)
    found = list(explored(explorer, lambda _: (2, 2)))
    assert found[0] == (0, 0, 1, 1)
    assert (explorer.runs, explorer.more) == (6, False)
    assert found == every(None, 2, 2)


def test_nothing_to_choose_is_one_run() -> None:
    assert every(None) == [()]
    assert every(0, 0, 0) == [()]


def test_a_run_that_does_not_repeat_itself_does_no_harm() -> None:
    """Each run has its own lengths: all choices are possible ones, and it comes to an end."""
    counts = set[int]()
    for seed in range(50):
        source = random.Random(seed)

        def steps(_run: int, source: random.Random = source) -> tuple[int, ...]:
            return source.randrange(3), source.randrange(4), source.randrange(3)

        explorer = Explorer(seed % 4 or None)
        counts.add(len(list(explored(explorer, steps))))
        assert explorer.runs <= 3**9
    assert len(counts) > 5


def test_a_client_that_is_gone_in_the_second_run_is_not_chosen() -> None:
    found = list(explored(Explorer(None), lambda run: (2, 2) if run % 2 == 0 else (0, 2)))
    assert found[0] == (0, 0, 1, 1)
    assert set(found[1::2]) == {(1, 1)}


def test_choices_beyond_the_end_of_a_shorter_run_are_forgotten() -> None:
    found = list(explored(Explorer(None), lambda run: (0, 1) if run else (3, 3)))
    assert found == [(0, 0, 0, 1, 1, 1), (1,), (1,)]


@pytest.mark.parametrize("steps", [(3, 3), (2, 2, 2)])
def test_a_replay_repeats_every_schedule(steps: tuple[int, ...]) -> None:
    for schedule in every(None, *steps):
        assert one_run(Replay(schedule).choose, steps) == schedule


def test_a_replay_goes_on_where_the_saved_choice_is_impossible_or_missing() -> None:
    assert one_run(Replay(()).choose, (2, 2)) == (0, 0, 1, 1)
    assert one_run(Replay((1,)).choose, (2, 2)) == (1, 1, 0, 0)
    assert one_run(Replay((0, 1)).choose, (2, 2, 1)) == (0, 1, 1, 0, 2)
    # Client 0 has ended when it is wanted a third time; the choices after that still count.
    assert one_run(Replay((0, 0, 0, 2)).choose, (2, 1, 2)) == (0, 0, 1, 2, 2)
    assert one_run(Replay((7, 1, 0)).choose, (1, 2)) == (0, 1, 1)
