"""The timeline: pieces on rows and lanes, the page that draws them, the trace for Perfetto."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.ledger.receipts import Receipt, append_receipts
from cluster.store.folder import FolderStore
from flows.report.timeline.page import render_page
from flows.report.timeline.pieces import PARTS, Timeline, make_timeline, read_timeline
from flows.report.timeline.trace import to_trace
from tests.conftest import Douga

NOW = datetime(2026, 11, 1, 2, tzinfo=UTC)
HOSTILE = "</script><script>alert(1)</script>"


def receipt(began_s: float, took_s: float, **more: Any) -> dict[str, Any]:
    """A chunk of a shot: 1 s of computing, the rest of its time waiting."""
    began, finished = (
        (NOW + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
        for seconds in (began_s, began_s + took_s)
    )
    return {
        "run": "r1",
        "episode": "ep01",
        "shot": "sh010",
        "stage": "upscale",
        "start": 0,
        "end": 24,
        "device": "cpu",
        "worker": "41",
        "node": "farm-1",
        "gpu": "",
        "load_s": 0.0,
        "decode_s": 0.0,
        "verify_s": 0.0,
        "pack_s": 0.0,
        "compute_s": min(1.0, took_s),
        "store_s": 0.0,
        "bytes_out": 1000,
        "retries": 0,
        "reused": False,
        "began_at": began,
        "finished_at": finished,
        **more,
    }


def parts(timeline: Timeline, at: int = 0) -> dict[str, float]:
    return dict(zip(PARTS, timeline.pieces[at].parts_s, strict=True))


def test_parts_fill_a_piece_and_the_rest_is_waiting() -> None:
    times = {"load_s": 0.5, "decode_s": 0.375, "compute_s": 2.0, "store_s": 0.25, "pack_s": 0.125}
    made = make_timeline([receipt(5, 4.0, **times)])
    assert parts(made) == pytest.approx(
        {
            "load": 0.125,
            "decode": 0.375,
            "wait": 1.25,
            "compute": 2.0,
            "encode": 0.0,
            "verify": 0.0,
            "pack": 0.125,
            "store": 0.125,
        }
    )
    assert made.began == NOW + timedelta(seconds=5)


def test_a_segment_is_encoded_and_a_receipt_without_a_begin_waited_for_nothing() -> None:
    works = [receipt(0, 3.0, stage="encode", compute_s=3.0, verify_s=0.5, began_at="")]
    made = make_timeline(works)
    assert parts(made)["encode"] == pytest.approx(2.5)
    assert parts(made)["verify"] == pytest.approx(0.5)
    assert parts(made)["compute"] == parts(made)["wait"] == 0.0


def test_what_was_reused_took_nobody_s_time() -> None:
    assert not make_timeline([receipt(0, 0.0, reused=True)]).pieces


def test_the_newest_pieces_are_kept() -> None:
    made = make_timeline([receipt(at, 1.0, start=at) for at in range(5)], most=2)
    assert [piece.start for piece in made.pieces] == [3, 4]
    assert made.left_out == 3


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 9), st.sampled_from(["41", "42"])),
        min_size=1,
        max_size=30,
    )
)
def test_no_two_pieces_share_a_place(works: list[tuple[int, int, str]]) -> None:
    made = make_timeline([receipt(at, took, worker=worker) for at, took, worker in works])
    assert [(row.node, row.process) for row in made.workers] == sorted(
        {("farm-1", worker) for _, _, worker in works}
    )
    for one, other in combinations(made.pieces, 2):
        if (one.worker, one.lane) == (other.worker, other.lane):
            first, then = sorted((one, other), key=lambda piece: piece.began_s)
            assert first.began_s + first.seconds <= then.began_s + 1e-3
    for piece in made.pieces:
        assert 0 <= piece.lane < made.workers[piece.worker].lanes


def test_the_ledger_of_an_episode_becomes_a_timeline(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for episode in ("ep01", "ep02"):
        one = Receipt(**receipt(1, 2.0, episode=episode), key=f"{1:064x}")
        append_receipts(store, "r1", [one])
    found = read_timeline(store, since=NOW, until=NOW + timedelta(hours=1), episode="ep02")
    assert [piece.episode for piece in found.pieces] == ["ep02"]


@pytest.fixture(scope="module")
def page() -> str:
    works = [receipt(at, 3.0, shot=f"sh{at % 7}{HOSTILE}", node="<b>&") for at in range(40)]
    return render_page(make_timeline(works), store="file:///store", trace="t.trace.json")


def test_page_runs_its_own_script_alone_and_needs_no_network(page: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy[1]
    assert "default-src 'none'" in policy[1]
    assert "unsafe-inline" not in policy[1].partition("script-src")[2]
    assert not re.search(r"https?:|url\(|@import|\bsrc=|<link|innerHTML|eval\(", page)
    assert "alert" not in scripts[0]


def test_page_holds_the_pieces_whatever_they_are_called(page: str) -> None:
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    held = json.loads(data)
    assert len(held["from"]) == len(held["took"]) == len(held["worker"]) == 40
    assert held["from"] == sorted(held["from"])
    assert len(held["shots"]) == 7
    assert HOSTILE in held["shots"][0]
    assert held["workers"][0]["node"] == "<b>&"


def test_ten_thousand_pieces_make_a_page_that_a_browser_opens_at_once() -> None:
    works = [
        receipt(at / 4, 3.0, shot=f"sh{at // 5:05}", worker=str(at % 48)) for at in range(10000)
    ]
    assert len(render_page(make_timeline(works), store="file:///store")) < 2 << 20


def test_a_time_without_work_says_so() -> None:
    assert "Nothing was rendered" in render_page(make_timeline([]), store="file:///store")


def test_trace_nests_parts_in_pieces_and_names_rows() -> None:
    works = [receipt(at, 2.5, load_s=0.3, store_s=0.4, worker=str(at % 3)) for at in range(12)]
    events = json.loads(to_trace(make_timeline(works)))["traceEvents"]
    names = {
        (event["pid"], event.get("tid")): event["args"]["name"]
        for event in events
        if event["name"] in ("process_name", "thread_name")
    }
    done = [event for event in events if event["ph"] == "X"]
    assert {names[event["pid"], None] for event in done} == {"farm-1"}
    assert all((event["pid"], event["tid"]) in names for event in done)
    whole = [event for event in done if event["cat"] != "part"]
    assert len(whole) == 12
    for part in (event for event in done if event["cat"] == "part"):
        assert any(
            piece["tid"] == part["tid"]
            and piece["ts"] <= part["ts"]
            and part["ts"] + part["dur"] <= piece["ts"] + piece["dur"]
            for piece in whole
        )


def test_command_writes_page_and_trace_beside_it(douga: Douga, tmp_path: Path) -> None:
    append_receipts(FolderStore(tmp_path / "store"), "r1", [Receipt(**receipt(1, 2.0), key="k")])
    page = tmp_path / "night.html"
    words = ("--since", "all", "--timeline", "-o", str(page), "--json")
    done = douga("report", "--store", (tmp_path / "store").as_uri(), *words)
    assert done.code == 0, done.err
    assert "sh010" in page.read_text()
    assert json.loads((tmp_path / "night.trace.json").read_text())["traceEvents"]
