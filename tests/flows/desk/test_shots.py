"""The state of every shot, as a fold over what the store has."""

from typing import Any

import pytest

from flows.desk.shots import Episode, State, fold, gather, versions_of
from flows.desk.views import takes
from tests.flows.desk.conftest import FIRST, SECOND, THIRD, Studio, segment_key


def seen(studio: Studio, episode: str = "ep01") -> Episode:
    desk = studio.desk()
    (shelf,) = desk.library.shelves
    facts = gather(desk.library, shelf, episode)
    assert facts is not None
    return fold(facts)


def states(episode: Episode) -> dict[str, str]:
    return {shot.id: shot.state.value for shot in episode.shots}


def test_a_rendered_shot_waits_until_somebody_decides_on_what_it_is_now(studio: Studio) -> None:
    studio.run(sh010="rendered", sh020="rendered", sh030="rendered")
    studio.decide("sh010", "approved")
    studio.decide("sh020", "retake")
    assert states(seen(studio)) == {"sh010": "approved", "sh020": "retake", "sh030": "waiting"}
    studio.run(run=SECOND, sh010="rendered", sh020="rendered", sh030="stored")
    assert states(seen(studio)) == {"sh010": "waiting", "sh020": "waiting", "sh030": "waiting"}
    studio.run(run=THIRD, sh010="stored", sh020="stored", sh030="stored")


def test_the_newest_decision_counts(studio: Studio) -> None:
    studio.run(sh010="rendered")
    for verdict in ("approved", "retake", "approved", "retake"):
        studio.decide("sh010", verdict)
    assert states(seen(studio)) == {"sh010": "retake"}


def test_without_a_gate_nobody_is_waited_for(studio: Studio) -> None:
    studio.run(waiting=False, sh010="rendered")
    assert states(seen(studio)) == {"sh010": "rendered"}
    assert not seen(studio).waits_for_people


def test_a_failed_shot_says_why_and_at_which_frame(studio: Studio) -> None:
    studio.run(sh010="failed", sh020="rendered")
    studio.failure("sh010", FIRST)
    (failed, _) = seen(studio).shots
    assert (failed.state, failed.frame) == (State.FAILED, 7)
    assert "out of memory" in failed.error
    studio.run(run=SECOND, sh010="rendered", sh020="stored")
    assert states(seen(studio)) == {"sh010": "waiting", "sh020": "waiting"}


def test_a_run_in_progress_shows_its_shots_as_they_come(studio: Studio) -> None:
    studio.run(run=FIRST, waiting=False, sh010="rendered", sh020="failed")
    studio.run(run=SECOND, ends=False)
    episode = seen(studio)
    assert episode.live
    assert states(episode) == {"sh010": "rendered", "sh020": "rendering"}


def test_a_first_run_lists_shots_in_the_order_of_the_source(studio: Studio) -> None:
    studio.run(run=FIRST, ends=False, sh010="rendered", sh020="rendered", sh005="rendered")
    assert [shot.id for shot in seen(studio).shots] == ["sh010", "sh020", "sh005"]


def test_a_preview_is_decided_on_by_its_own_key(studio: Studio) -> None:
    studio.run(waiting=True, sh010="frames rendered")
    name = f"reviews/ep01/previews/{FIRST}.json"
    studio.store.put(name, b'{"schema": 1, "shots": {"sh010": "%s"}}' % (b"a" * 40))
    (shot,) = seen(studio).shots
    assert (shot.state, shot.of, shot.seen) == (State.PREVIEW, "preview", "a" * 40)


@pytest.mark.parametrize(
    ("verdicts", "goes_on"),
    [(("approved", "approved"), True), (("approved", "retake"), False), (("approved",), False)],
)
def test_the_film_goes_on_when_the_last_shot_is_approved(
    studio: Studio, verdicts: Any, goes_on: bool
) -> None:
    studio.run(sh010="rendered", sh020="rendered")
    for shot, verdict in zip(("sh010", "sh020"), verdicts, strict=False):
        studio.decide(shot, verdict)
    assert seen(studio).can_go_on is goes_on


def test_nothing_damaged_hides_the_rest(studio: Studio) -> None:
    studio.run(sh010="rendered", sh020="rendered")
    studio.store.put(f"shots/ep01/sh010/{SECOND}.json", b"{")
    studio.store.put("reviews/ep01/decisions/sh020/x.json", b"[]")
    studio.store.put(f"failures/ep01/sh020/{SECOND}.json", b"{}")
    assert states(seen(studio))["sh020"] == "waiting"


def test_versions_are_those_whose_pictures_differ(studio: Studio) -> None:
    studio.run(sh010="rendered")
    studio.decide("sh010", "approved")
    studio.run(run=SECOND, sh010="rendered")
    desk = studio.desk()
    (shelf,) = desk.library.shelves
    versions = versions_of(desk.library, shelf, "ep01", "sh010")
    assert [each.key for each in versions] == [
        segment_key("ep01", "sh010", run) for run in (SECOND, FIRST)
    ]
    assert [take.label for take in takes(versions, [])] == ["v2", "v1"]
