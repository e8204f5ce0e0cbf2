"""The check `subscription-races` of a session: subscribers beside clients that append, in every order.

Its evidence counts as `interleavings`, or as `histories` where statements are not seen.
"""

from __future__ import annotations

from storeproof.conformance.racechecks import opened_stage
from storeproof.conformance.report import FailureReport, RunMoment
from storeproof.conformance.session import Session
from storeproof.conformance.subscriptionraces import WrongSubscription, explore_scene, race_scene
from storeproof.conformance.subscriptionscenes import LIVE, ONCE, UNSUBSCRIBED, scenes_for
from storeproof.conformance.wirestage import WireStage

NAME = "subscription-races"
REPETITIONS = 5


def check_subscription_races(session: Session) -> None:
    """Every scene, in its schedules and with real concurrency."""
    if "subscribe" not in session.capabilities or session.full or not session.wants(ONCE, LIVE, UNSUBSCRIBED):
        return
    wait = session.runner.wait
    with opened_stage(session.runner, session.avoidance) as stage:
        if stage is None:
            return
        scenes = session.share_of(scenes_for(stage))
        evidence = "interleavings" if stage.sees == "statements" else "histories"
        for index, scene in enumerate(scenes):
            if isinstance(stage, WireStage):  # nobody can be steered, and a repetition is quick
                explored = wait(race_scene(stage, scene, session.profile.feeds))
            else:
                explored = wait(explore_scene(stage, scene, most=session.profile.feeds))
            raced = explored if explored.wrong else wait(race_scene(stage, scene, REPETITIONS))
            wrong = explored.wrong or raced.wrong
            if wrong is not None:
                session.add(_told(wrong))
                if wrong.rule not in session.known.rules:
                    return
                continue
            for rule, count in explored.rules.items():
                session.evidence[rule][evidence] += count
            for rule, count in raced.rules.items():
                session.evidence[rule]["histories"] += count
            session.tell(NAME, index + 1, len(scenes))


def _told(wrong: WrongSubscription) -> FailureReport:
    return FailureReport(
        rules=[wrong.rule],
        check=NAME,
        message=f"{wrong.scene.name}: {wrong.message}",
        program=[],
        python="",
        expected=wrong.expected,
        actual=wrong.actual,
        step=0,
        wrong_after=None,
        schedule=list(wrong.choices),
        moments=[RunMoment(client=each.client, kind=each.kind, text=each.text) for each in wrong.moments],
    )
