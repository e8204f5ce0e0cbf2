"""Timelines as text: who did what when, whatever the values hold."""

import pytest
from rich.cells import cell_len
from storeproof.conformance.histories import Moment
from storeproof.conformance.timelines import timeline_text
from tests.timeline_moments import CUT, INSERT, TWO, UPDATE, deliver, delivered, hostile, said


def test_two_clients_side_by_side() -> None:
    assert timeline_text(TWO, 2).split("\n") == [
        "A                                               B",
        "┌ deliver_signal(a, signal=s, name=go, now=5)",
        "│   select workflow_runs …",
        "│                                               ┌ deliver_signal(a, signal=s, name=go, now=6)",
        "│                                               │   select workflow_runs …",
        "│   insert workflow_signal_deliveries …         │",
        "│   update workflow_runs set status, …          │",
        "│                                               │   update workflow_runs set status, …",
        "│                                               ┊   … waits for a lock",
        "│   COMMIT                                      ┊",
        "└→ delivered: queued, updated_at=5              ┊",
        "                                                │   COMMIT",
        "                                                └→ delivered: queued, updated_at=6",
    ]


def test_one_column_where_lanes_are_too_narrow() -> None:
    assert timeline_text(TWO, 2, width=48).split("\n") == [
        "A  deliver_signal(a, signal=s, name=go, now=5)",
        "A    select workflow_runs …",
        "B  deliver_signal(a, signal=s, name=go, now=6)",
        "B    select workflow_runs …",
        "A    insert workflow_signal_deliveries …",
        "A    update workflow_runs set status, …",
        "B    update workflow_runs set status, …",
        "B    … waits for a lock",
        "A    COMMIT",
        "A  → delivered: queued, updated_at=5",
        "B    COMMIT",
        "B  → delivered: queued, updated_at=6",
    ]
    assert timeline_text(TWO, 2, width=49).startswith("A  ")
    assert timeline_text(TWO, 2, width=49).split("\n")[0].split() == ["A", "B"]


def test_a_cut_ends_the_bar_and_says_on_which_side() -> None:
    assert timeline_text(CUT, 1).split("\n") == [
        "A",
        "┌ deliver_signal(a, signal=s, name=go, now=5)",
        "│   update workflow_runs set status, waiting_for …",
        "│   COMMIT",
        "✂ dies here, before it",
        "┌ deliver_signal(a, signal=s, name=go, now=6)",
    ]
    assert "A  ✂ dies here, before it" in timeline_text(CUT, 2, width=40)


def test_ascii_holds_only_ascii_and_still_fits() -> None:
    lines = timeline_text(TWO, 2, width=60, ascii=True).split("\n")
    assert lines[:3] == [
        "A                              B",
        "+ deliver_signal(a, signal=s)",
        "|   select workflow_runs ...",
    ]
    assert lines[8:11] == [
        "|                              :   ... waits for a lock",
        "|   COMMIT                     :",
        "+-> delivered: queued          :",
    ]
    for clients in (1, 3):
        text = timeline_text(hostile(clients), clients, most_lines=200, ascii=True)
        assert text.isascii()
        assert max(map(len, text.split("\n"))) <= 100


@pytest.mark.parametrize(("clients", "width", "beside"), [(1, 24, 1), (2, 49, 2), (3, 74, 3), (4, 99, 4), (4, 98, 1)])
def test_every_number_of_clients_keeps_the_width(clients: int, width: int, beside: int) -> None:
    moments = [
        moment
        for client in range(clients)
        for moment in (deliver(client, 5), said(client, UPDATE), delivered(client, 5))
    ]
    lines = timeline_text(moments, clients, width=width).split("\n")
    assert max(map(cell_len, lines)) <= width
    if beside == clients:
        assert lines[0].split() == list("ABCD"[:clients])
        assert len(lines) == 1 + len(moments)
    else:
        assert [line[0] for line in lines] == [letter for letter in "ABCD"[:clients] for _ in range(3)]


def test_statements_are_left_out_first_and_counted() -> None:
    # A's select, before B's call, and B's COMMIT, after A's answer, ran beside nobody.
    assert timeline_text(TWO, 2, width=40, most_lines=11).split("\n") == [
        "A  deliver_signal(a, signal=s, now=5)",
        "B  deliver_signal(a, signal=s, now=6)",
        "B    select workflow_runs …",
        "A    insert workflow_signal_deliveries …",
        "A    update workflow_runs set status, …",
        "B    update workflow_runs set status, …",
        "B    … waits for a lock",
        "A    COMMIT",
        "A  → delivered: queued, updated_at=5",
        "B  → delivered: queued, updated_at=6",
        "(2 statements left out)",
    ]
    # The statement that waits stays longest; bars go on where rows are missing.
    assert timeline_text(TWO, 2, most_lines=8).split("\n") == [
        "A                                               B",
        "┌ deliver_signal(a, signal=s, name=go, now=5)",
        "│                                               ┌ deliver_signal(a, signal=s, name=go, now=6)",
        "│                                               │   update workflow_runs set status, waiting_for …",
        "│                                               ┊   … waits for a lock",
        "└→ delivered: queued, updated_at=5              ┊",
        "                                                └→ delivered: queued, updated_at=6",
        "(6 statements left out)",
    ]
    # So does the one before a cut.
    cut = timeline_text((CUT[0], said(0, INSERT), *CUT[1:]), 1, most_lines=6)
    assert [word in cut for word in ("insert", "update", "COMMIT")] == [False, False, True]
    assert timeline_text(TWO, 2, most_lines=13).count("left out") == 0
    assert timeline_text(TWO, 2, most_lines=5).split("\n")[-1] == "(7 statements and 2 other moments left out)"


@pytest.mark.parametrize("most", range(4, 30))
def test_never_more_lines_than_asked_for(most: int) -> None:
    for width in (40, 100):
        lines = timeline_text(TWO, 2, width, most).split("\n")
        assert len(lines) <= most
        missing = len(TWO) - (len(lines) - (width == 100))
        if "left out" in lines[-1]:
            assert sum(int(word) for word in lines[-1].strip("(").split() if word.isdecimal()) == missing + 1
        else:
            assert missing == 0


@pytest.mark.parametrize("width", [12, 30, 60, 100, 160])
def test_hostile_values_stay_in_their_line(width: int) -> None:
    for clients in (1, 2, 3, 4):
        moments = hostile(clients)
        lines = timeline_text(moments, clients, width, most_lines=200).split("\n")
        assert len(lines) in (len(moments), len(moments) + 1)
        assert max(map(cell_len, lines)) <= width
        assert all(line.isprintable() for line in lines)


def test_lanes_stay_straight_beside_wide_and_combining_characters() -> None:
    moments = [Moment(1, "call", "b"), *(Moment(0, "statement", text) for text in ("漢字", "e\u0301e\u0301", "plain"))]
    lines = timeline_text(moments, 2).split("\n")
    assert {cell_len(line[: line.rindex("│")]) for line in lines[2:]} == {cell_len(lines[1].partition("┌")[0])}


def test_no_moments_and_more_clients_than_said() -> None:
    assert timeline_text((), 2).split() == ["A", "B"]
    assert timeline_text((), 0) == "A"
    assert timeline_text((delivered(2, 1),), 1).split("\n")[0].split() == ["A", "B", "C"]
