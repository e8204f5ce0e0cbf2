"""How much of everything a run tries. Knows no check: each takes the numbers that are about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """How much is tried. `programs`: generated programs per operation; `clocks`: times to which a recorded program is
    moved; `worlds`: setups of races; `scenarios`: how many pairs of calls in them are drawn, 0 for all; `thirds`: drawn
    scenarios in which a third operation comes before two others or stands beside them; `cut_pairs`: drawn pairs one of
    which dies; `loads`: histories of many calls at once; `feeds`: schedules of one scene of subscribers;
    `faults`: loads under each fault of a database. Over the wire: `copies`, how often a pair is repeated; `pairs`, how
    many are drawn, 0 for all; `kills`, how often the process is killed.
    """

    name: str
    programs: int
    shrink_tries: int
    clocks: int = 4
    worlds: int = 3
    scenarios: int = 0
    thirds: int = 0
    cut_pairs: int = 0
    loads: int = 0
    feeds: int = 0
    faults: int = 0
    copies: int = 6
    pairs: int = 0
    kills: int = 0
    most_wrong: int = 12
    """Races that may fail with a defect that was told; after them nothing new is expected."""
    most_failures: int = 12
    """After so many different failures of MUST rules the run ends: they have to be read by somebody. Of a SHOULD rule
    one is told, and none ends the run."""

    @property
    def most_told(self) -> int:
        """Failures told of one store by one check of races."""
        return max(4, self.most_failures // 3)


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "quick",
            6,
            150,
            clocks=1,
            worlds=1,
            scenarios=100,
            thirds=20,
            cut_pairs=10,
            loads=3,
            feeds=6,
            copies=3,
            pairs=40,
            kills=8,
        ),
        Profile(
            "default",
            25,
            300,
            clocks=2,
            worlds=2,
            thirds=100,
            cut_pairs=12,
            loads=20,
            feeds=30,
            faults=5,
            pairs=200,
            kills=40,
        ),
        Profile(
            "thorough",
            100,
            1000,
            clocks=3,
            thirds=1500,
            cut_pairs=300,
            loads=40,
            feeds=150,
            faults=20,
            copies=24,
            pairs=540,
            kills=180,
            most_wrong=1000,
            most_failures=120,
        ),
    )
}
