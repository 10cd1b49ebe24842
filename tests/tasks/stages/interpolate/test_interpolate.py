"""Interpolate: exact times, untouched holds and cuts, in-betweens better than a mix."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from cluster.errors import UsageError
from tasks.frames.codes import from_uint8, to_uint8
from tasks.frames.picture import Picture
from tasks.frames.track import Track
from tasks.models.device import Device
from tasks.models.inbetweening import Pair, Relation
from tasks.stages.registry import make_stage
from tasks.stages.stage import Window
from tasks.synthetic.film import render_frame
from tasks.synthetic.synthesise import synthesise
from tests.conftest import ROOT

NTSC = Fraction(24000, 1001)
REAL_FRAMES = ROOT.parent / "shared/data/anime_sequence"


def shot(count, *, first=0, rate=Fraction(24), drawing=()):
    return Track(
        picture=Picture(width=96, height=64),
        times=tuple((first + i) / rate for i in range(count)),
        end=(first + count) / rate,
        rate=rate,
        first=first,
        drawing=drawing,
    )


def varying(times, end):
    return Track(
        picture=Picture(width=96, height=64),
        times=tuple(map(Fraction, times)),
        end=Fraction(end),
    )


def run(frames, track, **params):
    stage = make_stage("interpolate", params)
    stage.setup(Device(), dict[str, bytes]().__getitem__)
    out = stage.track_after(track).span
    indices = stage.needs(out, track)
    frames = frames[list(indices)]
    frames.flags.writeable = False
    return stage.process(Window(track=track, indices=indices, frames_nhwc=frames), out)


def ball(x, y=32.0, *, width=96, height=64):
    """A ball with an outline on a striped ground, drawn at a fraction of a pixel."""
    picture = np.full((height, width, 3), (190, 215, 250), np.uint8)
    picture[height * 3 // 4 :, ::6] = (80, 130, 70)
    centre = (round(x * 16), round(y * 16))
    cv2.circle(picture, centre, 12 * 16, (225, 90, 60), -1, cv2.LINE_AA, 4)
    cv2.circle(picture, centre, 12 * 16, (20, 12, 25), 2, cv2.LINE_AA, 4)
    cv2.circle(picture, (centre[0] + 48, centre[1] - 48), 40, (250, 240, 240), -1, cv2.LINE_AA, 4)
    return picture


def film_of(*pictures):
    return from_uint8(np.stack(pictures))


def psnr(a, b):
    return -10 * np.log10(np.mean((a.astype(float) - b) ** 2) / 255**2 + 1e-12)


def test_whole_positions_are_copies_and_the_last_frame_stays():
    film = film_of(ball(30), ball(36), ball(42))
    made = run(film, shot(3), factor=2)
    assert np.array_equal(made[::2], film)
    assert np.array_equal(made[5], film[2])
    assert not np.array_equal(made[1], film[0])


def test_known_drawings_are_copied_however_noisy():
    noisy = [np.clip(ball(30).astype(int) + d, 0, 255).astype(np.uint8) for d in range(12)]
    film = film_of(*noisy, ball(36))
    made = run(film, shot(13, drawing=(*[0] * 12, 12)), factor=2)
    assert np.array_equal(made[0:23:2], film[:12])
    assert np.array_equal(made[1:22:2], film[:11])
    assert not np.array_equal(made[23], film[11])


def test_a_held_drawing_is_the_same_bits_throughout():
    film = film_of(*[ball(30)] * 6, *[ball(34)] * 2, *[ball(38)] * 2)
    track = shot(10, drawing=(0, 0, 0, 0, 0, 0, 6, 6, 8, 8))
    for timing, held in (("smooth", 21), ("keep", 30)):
        made = run(film, track, factor=5, timing=timing)
        assert all(np.array_equal(frame, film[0]) for frame in made[:held])
        assert not np.array_equal(made[held], film[0])
        assert all(np.array_equal(frame, film[-1]) for frame in made[40:])


def test_twos_become_even_motion_or_stay_twos():
    film = film_of(*(ball(30 + 6 * (i // 2)) for i in range(6)))
    track = shot(6, drawing=(0, 0, 2, 2, 4, 4))
    made = run(film, track, factor=2)
    assert np.array_equal(made[[0, 4, 8]], film[[0, 2, 4]])
    for number in range(8):
        truth = ball(30 + 1.5 * number)
        assert psnr(to_uint8(made[number]), truth) > 30
        assert psnr(to_uint8(made[number]), ball(30 + 1.5 * number + 1.5)) < 28
    kept = run(film, track, factor=2, timing="keep")
    assert np.array_equal(kept, film.repeat(2, axis=0))


def test_keep_at_the_sources_own_rate_changes_nothing():
    film = film_of(*(ball(30 + 6 * (i // 2)) for i in range(6)), ball(50), ball(53), ball(56))
    track = shot(9, drawing=(0, 0, 2, 2, 4, 4, 6, 7, 8))
    assert np.array_equal(run(film, track, rate=24, timing="keep"), film)


def test_a_pan_under_a_held_or_kept_drawing_is_smooth():
    """Whatever the character does, under a moving camera every frame is another picture."""

    def panned(i, *, drawn):
        ground = cv2.resize(np.random.default_rng(1).integers(60, 200, (12, 60, 3), np.uint8),
                            (300, 64), interpolation=cv2.INTER_CUBIC)  # fmt: skip
        picture = ground[:, round(2 * i) : round(2 * i) + 96].copy()
        cv2.circle(picture, (30 + 3 * drawn, 32), 10, (225, 90, 60), -1, cv2.LINE_AA)
        return picture

    film = film_of(*(panned(i, drawn=i // 2) for i in range(6)))
    track = shot(6, drawing=tuple(range(6)))
    smooth, keep = (run(film, track, factor=2, timing=timing) for timing in ("smooth", "keep"))
    assert np.array_equal(smooth, keep)
    for i in range(5):
        truth = panned(i + 0.5, drawn=i // 2)
        assert psnr(to_uint8(smooth[2 * i + 1])[:, 60:90], truth[:, 60:90]) > 30


def test_held_frames_are_found_without_a_drawing_map():
    noise = np.random.default_rng(3).integers(-1, 2, ball(30).shape)
    held = np.clip(ball(30) + noise, 0, 255).astype(np.uint8)
    for engine in ("dis", "average"):
        made = run(film_of(ball(30), held), shot(2), factor=2, engine=engine)
        assert np.array_equal(made[1], film_of(ball(30))[0])


def test_output_says_which_drawings_repeat():
    track = shot(6, drawing=(0, 0, 2, 2, 0, 0))
    after = make_stage("interpolate", {"factor": 2}).track_after(track)
    assert after.drawing == (0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0)
    kept = make_stage("interpolate", {"factor": 2, "timing": "keep"}).track_after(track)
    assert kept.drawing == (0, 0, 0, 0, 4, 4, 4, 4, 0, 0, 0, 0)


def test_a_lower_rate_may_leave_a_shot_empty():
    stage = make_stage("interpolate", {"rate": 12})
    empty = stage.track_after(shot(1, first=1))
    assert (len(empty), empty.first, empty.end) == (0, 1, Fraction(1, 12))
    assert run(film_of(ball(30)), shot(1, first=1), rate=12).shape == (0, 64, 96, 3)


def test_millisecond_stamps_still_give_copies():
    stamps = [Fraction(round(i * 1001 / 24), 1000) for i in range(5)]
    film = film_of(*(ball(30 + 4 * i) for i in range(4)))
    made = run(film, varying(stamps[:4], stamps[4]), rate=Fraction(48000, 1001))
    assert len(made) == 8
    assert np.array_equal(made[::2], film)


def test_a_long_frame_in_a_varying_rate_is_a_hold():
    track = varying(["0", "1/24", "25/24"], "26/24")
    film = film_of(ball(30), ball(34), ball(38))
    made = run(film, track, rate=48)
    assert all(np.array_equal(frame, film[1]) for frame in made[2:49])
    assert not np.array_equal(made[49], film[1])
    assert np.array_equal(made[50], film[2])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "exactly one of factor and rate"),
        ({"factor": 2, "rate": 60}, "exactly one of factor and rate"),
        ({"factor": 0}, "factor: expected a number above 0"),
        ({"factor": "two"}, "factor: expected a number such as"),
        ({"rate": "1/0"}, "rate: expected a number such as"),
        ({"factor": 2, "engine": "magic"}, "engine"),
    ],
)
def test_wrong_parameters_are_refused(params, message):
    with pytest.raises(UsageError, match=message):
        make_stage("interpolate", params)


def test_a_moving_ball_is_drawn_where_it_is_between():
    a, b = film_of(ball(30, 30), ball(42, 34))
    for at in (0.25, 0.5, 0.8):
        truth = ball(30 + 12 * at, 30 + 4 * at)
        drawn = to_uint8(Pair(a, b, depth=8).between(at))
        mixed = to_uint8(Pair(a, b, depth=8).average(at))
        assert psnr(drawn, truth) > psnr(mixed, truth) + 6


def test_what_does_not_move_stays_bit_identical_beside_what_does():
    def over_stripes(x):
        picture = ball(x)
        stripes = np.full_like(picture, 200)
        stripes[:, ::6] = 60
        inside = np.hypot(*np.indices(picture.shape[:2]) - np.array([32, x])[:, None, None]) < 14
        return np.where(inside[..., None], picture, stripes)

    a, b = film_of(over_stripes(30), over_stripes(38))
    drawn = Pair(a, b, depth=8).between(0.5)
    assert np.array_equal(drawn[:, 60:], a[:, 60:])


def test_unrelated_pictures_are_not_morphed():
    rng = np.random.default_rng(5)
    a, b = (
        cv2.resize(rng.integers(0, 256, (8, 12, 3), np.uint8), (96, 64), interpolation=0)
        for _ in range(2)
    )
    pair = Pair(*film_of(a, b), depth=8)
    assert pair.relation is Relation.JUMPS
    assert np.array_equal(pair.between(0.4), film_of(a)[0])
    assert np.array_equal(pair.between(0.6), film_of(a)[0])  # b comes at its own time


def test_a_fade_is_a_mix():
    whole = ball(40)
    faded = (whole * 0.88).astype(np.uint8)
    pair = Pair(*film_of(whole, faded), depth=8)
    mixed = (whole.astype(float) + faded) / 2
    assert psnr(to_uint8(pair.between(0.5)), mixed) > 45


def test_a_patch_that_was_drawn_anew_is_held_while_the_rest_moves():
    def sign(x, letter):
        picture = np.full((128, 192, 3), (240, 205, 180), np.uint8)
        cv2.line(picture, (x, 10), (x, 118), (30, 20, 30), 2, cv2.LINE_AA)
        picture[40:72, 30:62] = (200, 40, 30) if letter == 1 else (20, 60, 130)
        return picture

    pair = Pair(*film_of(sign(120, 1), sign(124, 2)), depth=8)
    assert pair.relation is Relation.MOVES
    for at in (0.5, 0.75):  # until the new one's own time
        drawn = to_uint8(pair.between(at))
        assert psnr(drawn[35:77, 25:67], sign(120, 1)[35:77, 25:67]) > 40
    assert psnr(to_uint8(pair.between(0.5))[:, 100:], sign(122, 1)[:, 100:]) > 25


def test_threads_and_size_change_nothing_but_time():
    pictures = [cv2.resize(ball(x), (1440, 960)) for x in (30, 36)]
    before = cv2.getNumThreads()
    made = []
    for threads in (1, 2):
        cv2.setNumThreads(threads)
        made.append(Pair(*film_of(*pictures), depth=8).between(0.5))
    cv2.setNumThreads(before)
    assert np.array_equal(made[0], made[1])
    assert psnr(to_uint8(made[0]), cv2.resize(ball(33), (1440, 960))) > 30


def test_sample_inbetweens_beat_averaging_by_far_more_than_1_db():
    short = synthesise(2, shots=14, seconds=12, size=(480, 270))
    gains = []
    for scene in short.shots:
        for frame in range(scene.start + 1, scene.end - 1, 5):
            a, b = render_frame(short, frame), render_frame(short, frame + 1)
            if np.array_equal(a, b):
                continue
            truth = render_frame(short, frame + Fraction(1, 2))
            pair = Pair(*film_of(a, b), depth=8)
            drawn, mixed = (to_uint8(draw(0.5)) for draw in (pair.between, pair.average))
            gains.append(psnr(drawn, truth) - psnr(mixed, truth))
    assert len(gains) >= 15
    assert np.mean(gains) >= 3  # the promise is 1


@pytest.mark.skipif(not REAL_FRAMES.is_dir(), reason="no ../shared/data/anime_sequence here")
def test_real_animation_beats_averaging_by_1_db():
    def picture(index):
        return cv2.imread(str(REAL_FRAMES / f"{index:04d}.png"))[..., ::-1]

    gains = []
    for middle in range(1, 69, 5):
        a, truth, b = (picture(middle + offset) for offset in (-1, 0, 1))
        pair = Pair(*film_of(a, b), depth=8)
        drawn, mixed = (to_uint8(draw(0.5)) for draw in (pair.between, pair.average))
        gains.append(psnr(drawn, truth) - psnr(mixed, truth))
    assert np.mean(gains) >= 1


def sample_shot(kind, *, count, near=False):
    """The first frames of a shot of the sample: its short, where it starts, frames and track."""
    short = synthesise(2, shots=14, seconds=12, size=(320, 180))
    scene = next(s for s in short.shots if (s.kind, s.near) == (kind, near))
    film = film_of(*(render_frame(short, scene.start + i) for i in range(count)))
    drawing: list[int] = []
    for i in range(count):
        same = i > 0 and np.array_equal(film[i], film[i - 1])
        drawing.append(drawing[-1] if same else i)
    track = replace(shot(count, drawing=tuple(drawing)), picture=Picture(width=320, height=180))
    return short, scene.start, film, track


def test_twos_of_the_sample_move_evenly_and_near_the_truth():
    short, start, film, track = sample_shot("creature", count=8, near=True)
    assert track.drawing == (0, 0, 2, 2, 4, 4, 6, 6)
    smooth, keep, mixed = (
        to_uint8(run(film, track, factor=2, **params))
        for params in ({}, {"timing": "keep"}, {"engine": "average"})
    )
    steps = [
        np.abs(np.diff(made[:13].astype(int), axis=0)).mean((1, 2, 3)) for made in (smooth, keep)
    ]
    assert steps[0].max() < 3 * steps[0].min()
    assert np.count_nonzero(steps[1]) == 3
    gains = []
    for number in (n for n in range(12) if n % 4):
        # The sample moves within the last frame of a drawing: its true in-betweens lie there.
        truth = render_frame(short, start + number // 4 * 2 + 1 + Fraction(number % 4, 4))
        gains.append(psnr(smooth[number], truth) - psnr(mixed[number], truth))
    assert np.mean(gains) > 1


def test_a_pan_of_the_sample_is_smooth_whatever_the_timing():
    short, start, film, track = sample_shot("walk", count=4)
    assert track.drawing == (0, 1, 2, 3)
    smooth, keep = (to_uint8(run(film, track, factor=2, timing=t)) for t in ("smooth", "keep"))
    assert np.array_equal(smooth, keep)
    for frame in range(3):
        truth = render_frame(short, start + frame + Fraction(1, 2))
        assert psnr(smooth[2 * frame + 1], truth) > psnr(smooth[2 * frame], truth) + 5
