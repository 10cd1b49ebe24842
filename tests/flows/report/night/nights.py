"""Nights made up for the tests of reports: many, large, and with the worst of names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np

from cluster.store.base import Store
from flows.runs.night import Night, NightEpisode, NightShot, Regression
from flows.runs.outcome import Outcome

HOSTILE = (
    "<script>alert(1)</script>",
    '" onerror="alert(1)',
    "{{ 7 * 7 }}{% raw %}",
    "]]>&amp;<![CDATA[",
    "../../etc/passwd",
    "]]\n[[ATTACHMENT|/etc/passwd",
    "nul\0bell\x07esc\x1b[31m\ufffe",
    "https://evil.example/x.js",
    "lone \ud800 surrogate",
    "動画 第一話",
    "x" * 300,
)
FIRST = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)


def draw(number: int, *, shift: int = 0) -> bytes:
    """A PNG with flat shapes, another for each number."""
    rng = np.random.default_rng(number)
    picture = np.full((180, 320, 3), rng.integers(120, 230, 3), np.uint8)
    for _ in range(4):
        x, y, size = (int(value) for value in rng.integers((20, 20, 15), (300, 160, 50)))
        colour = tuple(int(value) for value in rng.integers(30, 255, 3))
        cv2.circle(picture, (x + shift, y), size, colour, -1, cv2.LINE_AA)
        cv2.circle(picture, (x + shift, y), size, (20, 20, 20), 2, cv2.LINE_AA)
    return cv2.imencode(".png", picture)[1].tobytes()


def make_shot(number: int, store: Store | None = None, *, name: str = "") -> NightShot:
    """A good shot; its thumbnail goes into the store."""
    thumbnail = f"nights/thumbs/{number}.png"
    if store is not None:
        store.put(thumbnail, draw(number))
    return NightShot(
        id=name or f"sh{number:03}0",
        state="rendered" if number % 3 else "stored",
        frames=24 + number % 70,
        seconds=2.5 + number % 9,
        money=0.004 * (1 + number % 9),
        segment=f"segments/{number}.mkv",
        chunks=3,
        computed=3 if number % 3 else 0,
        duration_s=(24 + number % 70) / 24,
        loudness=-23.0 - number % 4,
        psnr=99.0 if number % 3 == 0 else 44.0 + number % 5,
        ssim=1.0 if number % 3 == 0 else 0.985 + 0.001 * (number % 5),
        flicker=0.01 * (number % 7),
        thumbnail=thumbnail,
    )


def failed(shot: NightShot, error: str, failure: str = "") -> NightShot:
    return replace(shot, state="failed", error=error, failure=failure, frame=7)


def regressed(shot: NightShot, store: Store, number: int) -> NightShot:
    """One whose frame 12 came out shifted."""
    before, after = (f"nights/frames/{number}-{when}.png" for when in ("before", "after"))
    store.put(before, draw(number))
    store.put(after, draw(number, shift=9))
    one = Regression(
        measure="psnr", was=99.0, now=31.25, limit=35.0, frame=12, before=before, after=after
    )
    two = Regression(measure="seconds", was=4.0, now=11.0, limit=8.0)
    like = replace(one, measure="ssim", was=1.0, now=0.91, limit=0.96)
    return replace(shot, psnr=31.25, ssim=0.91, regressions=(one, like, two))


def make_episode(name: str, shots: tuple[NightShot, ...], **more: object) -> NightEpisode:
    seconds = sum(shot.seconds for shot in shots)
    given = {
        "state": "done",
        "show": "Kumo",
        "run": "20260301T220005-ab12",
        "film": f"/films/{name}.mkv",
        "wall_s": seconds / 4,
        "gpu_hours": seconds / 3600,
        "cpu_hours": seconds / 1800,
        "money": sum(shot.money for shot in shots),
        "loudness": -23.1,
        "duration_s": 1421.0,
        "computed": sum(shot.computed for shot in shots),
        "reused": sum(shot.chunks - shot.computed for shot in shots),
        "shots": shots,
    }
    given |= more
    state = Outcome(str(given["state"]))
    return NightEpisode(episode=name, **{**given, "state": state})  # type: ignore[arg-type]


def make_night(number: int, episodes: tuple[NightEpisode, ...], *, nightly: str = "kumo") -> Night:
    """The number-th night."""
    began = FIRST + timedelta(days=number)
    took = sum(episode.wall_s for episode in episodes) + 60
    return Night(
        nightly=nightly,
        night=f"{began:%Y%m%dT%H%M%S}",
        began_at=began.isoformat(),
        ended_at=(began + timedelta(seconds=took)).isoformat(),
        episodes=episodes,
    )


def many_nights(count: int, *, shots: int = 24) -> list[Night]:
    """Nights that go up and down, every ninth one with a failed shot."""
    nights = []
    for number in range(count):
        made = [make_shot(place + 1) for place in range(shots)]
        made = [replace(shot, seconds=shot.seconds * (1 + 0.3 * np.sin(number))) for shot in made]
        if number % 9 == 4:
            made[3] = failed(made[3], "out of memory")
        state = "failed" if number % 9 == 4 else "done"
        episodes = (make_episode("ep01", tuple(made), state=state),)
        nights.append(make_night(number, episodes))
    return nights


def bad_night(store: Store, *, number: int = 40, shots: int = 30) -> Night:
    """A night in which everything that can go wrong did."""
    failure = "failures/ep01/sh0040/20260301T220005-ab12.json"
    store.put(
        failure,
        b'{"error": "cannot be decoded", "stage": "upscale", "frame": 7, "source_frame": 103,'
        b' "command": "douga render ep01.yaml --shots sh0040",'
        b' "attempts": [{"worker": "w1", "node": "farm3", "error": "bad packet",'
        b' "traceback": "Traceback (most recent call last):\\n  File \\"work.py\\", line 12\\n'
        b'ValueError: bad packet"}], "versions": {"python": "3.11"}}',
    )
    made = [make_shot(place + 1, store) for place in range(shots)]
    error = "ep01/sh0040/upscale frame 7 (source frame 103): cannot be decoded; mend the source"
    made[3] = failed(made[3], error, failure)
    made[5], made[9] = regressed(made[5], store, 5), regressed(made[9], store, 9)
    good = tuple(make_shot(place + 100, store) for place in range(shots))
    loud = Regression(measure="loudness", was=-23.0, now=-18.2, limit=-22.0)
    episodes = (
        make_episode("ep01", tuple(made), state="failed", why="1 shot failed (sh0040)"),
        make_episode("ep02", good, regressions=(loud,)),
        make_episode("ep03", good[:4]),
        make_episode("ep04", good[:2], state="wanting", why="frame 12 is not the one planned"),
        make_episode(
            "ep05", (), state="left out", why="needs 2 h 10 min, the deadline is in 1 h 5 min"
        ),
        make_episode("ep06", good[:2], state="waiting", why="sh0010: waits for approval"),
        make_episode("ep07", (), state="stopped", why="the deadline came", show="Yama"),
    )
    return make_night(number, episodes)


def hostile_night(store: Store) -> Night:
    """A night whose names, errors and paths are out to do harm."""
    episodes = []
    for number, name in enumerate(HOSTILE):
        shots = tuple(
            failed(make_shot(place, store, name=each), f"{each} {name}")
            for place, each in enumerate(HOSTILE)
        )
        why = f"{name}: {HOSTILE[number - 1]}"
        extra = {"show": name, "film": name, "run": name, "store": name}
        episodes.append(make_episode(name, shots, state="failed", why=why, **extra))
    return make_night(3, tuple(episodes), nightly=HOSTILE[0])
