"""What the pages and the API answer, in this process."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import opentimelineio as otio
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from flows.cli import app
from flows.desk import app as desk_app
from flows.desk.app import make_app
from flows.desk.catalogue import JAPANESE, choose_language
from flows.desk.desk import Desk
from flows.desk.shots import State, decisions_on, versions_of
from flows.desk.views import board, last_good, next_waiting, parts_of, review_queue, takes
from tests.flows.desk.conftest import FIRST, FRAMES, SECOND, THIRD, Studio, segment_key

ROOM = Path(desk_app.__file__).parent
VENDORED = json.loads((ROOM / "static/vendor/vendored.json").read_text())
HERE = "http://127.0.0.1:8484"


@pytest.fixture
def desk(studio: Studio) -> Desk:
    return studio.desk()


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(make_app(desk), base_url=HERE, raise_server_exceptions=False) as made:
        token = made.get("/").text.split('data-csrf="')[1].split('"')[0]
        made.headers["x-csrf-token"] = token
        yield made


def fill(studio: Studio, desk: Desk, **shots: Any) -> str:
    """A run of ep01; the short name of its store."""
    studio.run(**shots)
    desk.library.refresh()
    return desk.library.shelves[0].key


def put(client: TestClient, store: str, *decisions: dict[str, Any]) -> Any:
    url = f"/api/v1/episodes/{store}/ep01/decisions"
    return client.post(url, json={"decisions": list(decisions)})


def verdict(shot: str, word: str = "approved", *, run: str = FIRST, **more: Any) -> dict[str, Any]:
    return {"shot": shot, "seen": segment_key("ep01", shot, run), "verdict": word, **more}


def test_every_page_answers_empty_busy_and_failing(
    client: TestClient, studio: Studio, desk: Desk
) -> None:
    for path in ("/", "/reviews", "/nights", "/audit"):
        assert client.get(path).status_code == 200
    store = fill(studio, desk, sh010="failed", sh020="rendered")
    studio.failure("sh010", FIRST)
    studio.run(episode="e p_02", ends=False, sh010="rendered")
    desk.library.refresh()
    base = f"/e/{store}/ep01"
    for path in ("/", "/reviews", "/audit", base, f"{base}/s/sh010", f"{base}/s/sh020",
                 f"{base}/deliver", f"{base}/log/sh010", f"/e/{store}/e%20p_02"):  # fmt: skip
        assert client.get(path).status_code == 200, path
    assert "out of memory" in client.get(base).text


def test_a_browser_may_run_nothing_but_our_own_files(
    client: TestClient, studio: Studio, desk: Desk
) -> None:
    store = fill(studio, desk, sh010="rendered")
    for path in ("/", f"/e/{store}/ep01", f"/e/{store}/ep01/s/sh010"):
        page = client.get(path)
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert not re.search(r"<[^>]+\s(?:style|on\w+)=", page.text)
        assert not re.search(r"<script(?![^>]*\ssrc=)", page.text)
        assert "<style" not in page.text


def test_what_others_wrote_is_escaped(client: TestClient, studio: Studio, desk: Desk) -> None:
    store = fill(studio, desk, sh010="rendered", sh020="rendered")
    words = "<script>alert(1)</script>\"'"
    assert put(client, store, verdict("sh010", "retake", note=words)).status_code == 201
    desk.library.refresh()
    for path in (f"/e/{store}/ep01", f"/e/{store}/ep01/s/sh010", "/audit"):
        page = client.get(path).text
        assert "alert(1)" in page
        assert "<script>alert" not in page


@pytest.mark.parametrize("path", ["/e/00000000/ep01", "/e/zz/ep01", "/e/{store}/none",
                                  "/e/{store}/ep01/s/none", "/e/{store}/..%2F/s/x",
                                  "/media/{store}/zz/thumb.webp", "/e/{store}/ep01/film",
                                  "/api/v1/episodes/{store}/ep01/shots/none",
                                  "/api/v1/episodes/{store}/ep01/shots/sh010/frames/99",
                                  ])  # fmt: skip
def test_what_is_not_there_is_not_found(
    client: TestClient, studio: Studio, desk: Desk, path: str
) -> None:
    store = fill(studio, desk, sh010="rendered")
    assert client.get(path.format(store=store)).status_code == 404


def test_a_decision_is_kept_with_frame_strokes_and_person(
    client: TestClient, studio: Studio, desk: Desk
) -> None:
    store = fill(studio, desk, sh010="rendered")
    ink = "M10 20 L30 40"
    told = put(client, store, verdict("sh010", "retake", note="eyes", frame=7, strokes=ink))
    assert told.status_code == 201
    desk.library.refresh()
    shot = client.get(f"/api/v1/episodes/{store}/ep01/shots/sh010").json()
    (kept,) = shot["decisions"]
    assert (kept["verdict"], kept["note"], kept["frame"], kept["strokes"]) == (
        "retake", "eyes", 7, ink,
    )  # fmt: skip
    assert kept["by"] == desk.local_person.name
    assert "1008" in client.get(f"/e/{store}/ep01/s/sh010").text


def test_two_people_decide_at_once_and_both_words_stay(
    client: TestClient, studio: Studio, desk: Desk
) -> None:
    store = fill(studio, desk, sh010="rendered")
    put(client, store, verdict("sh010", "retake", note="first"))
    studio.decide("sh010", "approved")  # another desk, a moment later
    desk.library.refresh()
    shot = client.get(f"/api/v1/episodes/{store}/ep01/shots/sh010").json()
    assert [each["verdict"] for each in shot["decisions"]] == ["approved", "retake"]
    assert shot["state"] == "approved"


def test_a_verdict_on_what_was_rendered_anew_meanwhile_is_refused_whole(
    client: TestClient, studio: Studio, desk: Desk
) -> None:
    fill(studio, desk, sh010="rendered", sh020="rendered")
    studio.run(run=SECOND, sh010="rendered", sh020="stored")
    desk.library.refresh()
    store = desk.library.shelves[0].key
    told = put(client, store, verdict("sh020"), verdict("sh010"))
    assert (told.status_code, "look again" in told.text) == (409, True)
    desk.library.refresh()
    assert desk.episodes()[0].counts == {State.WAITING: 2}


@pytest.mark.parametrize("wrong", [{"verdict": "fine"}, {"strokes": "M1 1' onload='x"},
                                   {"seen": "zz"}, {"frame": -1}, {"more": 1},
                                   {"note": "x" * 5000}])  # fmt: skip
def test_a_verdict_that_is_none_is_unprocessable(
    client: TestClient, studio: Studio, desk: Desk, wrong: dict[str, Any]
) -> None:
    store = fill(studio, desk, sh010="rendered")
    assert put(client, store, {**verdict("sh010"), **wrong}).status_code == 422


def test_a_board_of_300_shots_is_small_and_quick(
    client: TestClient, studio: Studio, desk: Desk
) -> None:
    store = fill(studio, desk, **{f"sh{at:04d}": "rendered" for at in range(300)})
    client.get(f"/e/{store}/ep01")
    gets: list[str] = []
    get = desk.library.shelves[0].store.get
    desk.library.shelves[0].store.get = lambda name: gets.append(name) or get(name)  # type: ignore[method-assign, func-returns-value]
    page = client.get(f"/e/{store}/ep01")
    assert page.text.count("data-shot=") == 300
    assert len(page.content) < 1_000_000
    assert gets == []  # what takes time is the way to the store


def test_language_is_the_persons_and_every_word_has_a_japanese_one(client: TestClient) -> None:
    asked = set()
    for template in (ROOM / "templates").glob("*.j2"):
        text = template.read_text()
        asked |= set(re.findall(r"""\bt\(["']([^"']+)["']\)""", text))
        asked |= {
            word
            for pair in re.findall(r't\("([^"]+)" if [^)]*? else "([^"]+)"', text)
            for word in pair
        }
    asked |= {state.value for state in State}
    assert asked - set(JAPANESE) == set()
    assert choose_language("", "fr, ja;q=0.8") == "ja"
    assert choose_language("en", "ja") == "en"
    page = client.get("/", headers={"accept-language": "ja"}).text
    assert JAPANESE["Board"] in page
    assert '<html lang="ja"' in page


def test_the_reviews_come_in_film_order_and_lead_on(studio: Studio, desk: Desk) -> None:
    fill(studio, desk, sh010="rendered", sh020="rendered", sh030="rendered")
    studio.decide("sh020", "approved")
    desk.library.refresh()
    queue = review_queue(desk.episodes())
    assert [each.shot.id for each in queue] == ["sh010", "sh030"]
    (episode,) = desk.episodes()
    onward = next_waiting(queue, episode, "sh010")
    assert onward is not None
    assert onward.shot.id == "sh030"
    back = next_waiting(queue, episode, "sh030")
    assert back is not None
    assert back.shot.id == "sh010"


def test_what_a_night_measured_to_be_worse_is_reviewed_first_with_its_pictures(
    client: TestClient, studio: Studio, desk: Desk
) -> None:
    store = fill(studio, desk, sh010="rendered", sh020="rendered")
    studio.night(FIRST)
    studio.night(SECOND, measure="psnr")
    desk.library.refresh()
    queue = review_queue(desk.episodes(), desk.measured())
    assert [(each.shot.id, each.worst) for each in queue] == [("sh020", "psnr"), ("sh010", "")]
    page = client.get("/nights").text
    assert "regressed" in page
    pictures = re.findall(r'src="(/nights/[^"]+)"', page)
    assert [client.get(url).content for url in pictures] == [b"before", b"after"]
    assert f"/nights/{store}/show/{SECOND}/ep01/sh020/0/before.png" == pictures[0]
    for wrong in ("1/before.png", "-1/before.png", "0/other.png"):
        url = pictures[0].replace("0/before.png", wrong)
        assert client.get(url).status_code in (404, 422)


def test_the_board_shows_what_needs_somebody_first_and_what_is_late(
    studio: Studio, desk: Desk
) -> None:
    studio.run(episode="a", run=SECOND, waiting=False, sh010="rendered")
    studio.run(episode="b", run=FIRST, sh010="rendered")
    studio.run(episode="c", run=FIRST, waiting=False, sh010="failed")
    desk.library.refresh()
    rows = board(desk.episodes(), now=datetime(2100, 1, 1, tzinfo=UTC))
    assert [row.episode.name for row in rows] == ["c", "b", "a"]
    assert [row.late for row in rows] == [False, True, False]


def test_a_bar_is_full_and_counts_what_is_not_known_yet(studio: Studio, desk: Desk) -> None:
    fill(studio, desk, sh010="rendered", sh020="failed")
    (episode,) = desk.episodes()
    parts = parts_of(episode, total=4)
    assert [(part.state, part.count) for part in parts] == [
        (State.RENDERED, 1), (State.FAILED, 1), (State.PLANNED, 2),
    ]  # fmt: skip
    assert sum(part.width for part in parts) == pytest.approx(100, abs=0.01)


def test_a_version_is_compared_with_the_last_good_one(studio: Studio, desk: Desk) -> None:
    for run in (FIRST, SECOND, THIRD):
        studio.run(run=run, sh010="rendered")
    studio.decide("sh010", "approved", run=FIRST)
    desk.library.refresh()
    (shelf,) = desk.library.shelves
    versions = versions_of(desk.library, shelf, "ep01", "sh010")
    found = takes(versions, decisions_on(desk.library, shelf, "ep01", "sh010"))
    assert last_good(found) == segment_key("ep01", "sh010", FIRST)
    assert last_good(takes(versions, [])) == segment_key("ep01", "sh010", SECOND)
    assert last_good(takes(versions[:1], [])) == ""


def test_a_frame_says_where_it_comes_from(client: TestClient, studio: Studio, desk: Desk) -> None:
    store = fill(studio, desk, sh010="rendered", sh020="rendered")
    told = client.get(f"/api/v1/episodes/{store}/ep01/shots/sh020/frames/3").json()
    assert told["source_frame"] == FRAMES + 3
    assert [stage["stage"] for stage in told["stages"]] == ["hold"]
    assert told["command"] == "douga render ep.yaml"


def test_the_edit_names_every_shots_file_as_it_is_downloaded(
    client: TestClient, studio: Studio, desk: Desk
) -> None:
    store = fill(studio, desk, sh010="rendered", sh020="failed", sh030="rendered")
    told = client.get(f"/e/{store}/ep01/edit.otio")
    timeline = otio.adapters.read_from_string(told.text, "otio_json")
    clips = list(timeline.find_clips())
    assert [clip.name for clip in clips] == ["sh010", "sh020", "sh030"]
    first, failed, _ = (clip.media_reference for clip in clips)
    assert first.target_url == "ep01_sh010.mkv"
    assert failed.is_missing_reference
    assert clips[0].source_range.duration.to_frames() == FRAMES
    studio.segment("sh010")
    file = client.get(f"/e/{store}/ep01/segment/sh010")
    assert first.target_url in file.headers["content-disposition"]


def test_accounts_are_made_at_the_command_line(studio: Studio) -> None:
    def douga(*words: str, given: str = "") -> str:
        ended = CliRunner().invoke(app, ["desk", *words], input=given)
        assert ended.exit_code == 0, ended.output
        return ended.output

    douga("account", "mika", "--role", "supervisor", given="four words nobody says\n")
    token = douga("token", "mika", "ci").strip()
    told = douga("accounts")
    assert "mika: supervisor, tokens: ci" in told
    assert token not in told
    douga("account", "mika", "--remove")
    assert douga("accounts") == ""


def test_vendored_files_are_those_that_the_list_names() -> None:
    folder = ROOM / "static/vendor"
    listed = {name for each in VENDORED.values() for name in each["files"]}
    assert {path.name for path in folder.iterdir()} - {"vendored.json"} == listed
    for each in VENDORED.values():
        for name, file in each["files"].items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == file["sha256"]


@pytest.mark.nightly
@pytest.mark.parametrize("package", VENDORED)
def test_vendored_files_are_npms(package: str) -> None:
    version = VENDORED[package]["version"]
    url = f"https://registry.npmjs.org/{package}/-/{package}-{version}.tgz"
    try:
        data = urllib.request.urlopen(url, timeout=30).read()
    except (OSError, urllib.error.URLError) as error:
        pytest.skip(f"npm's registry is not reached: {error}")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for name, file in VENDORED[package]["files"].items():
            member = archive.extractfile(f"package/{file['from']}")
            assert member is not None
            assert member.read() == (ROOM / "static/vendor" / name).read_bytes()
