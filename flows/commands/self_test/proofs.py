"""The proofs of `douga doctor --self-test`: quick pytest functions that need no repository.

A proof's first line of docstring is its name in the table; its `remedy` is shown if it fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from cluster.chunks.chunk import read_frames
from cluster.chunks.write import encode_chunk
from cluster.errors import DigestError
from cluster.settings import child_environment
from cluster.store.open import open_store
from flows.commands.self_test.stages import (
    CASES,
    examples,
    make_film,
    make_track,
    ready,
    render,
    render_with_threads,
)
from tasks.decode import FrameReader, index_source
from tasks.encode.encoders import FFMPEG_NAMES, EncodeSpec
from tasks.encode.ffmpeg import encoders_available
from tasks.encode.segment import encode_segment
from tasks.frames.codes import Frames
from tasks.frames.colour import Encoder, delivery_picture
from tasks.frames.picture import Picture
from tasks.frames.track import chunk_spans

RATE = Fraction(24)
REPORT = "please report it with the output of `douga doctor --self-test --json`"
OTHER_BUILD = f"reinstall torch and opencv from their own wheels; if it stays, {REPORT}"
KEPT_SETTINGS = ("DOUGA_DEVICE", "DOUGA_FFMPEG", "DOUGA_PREFECT")
"""What the render of a proof takes over from the environment; all else is its own."""

each_case = pytest.mark.parametrize(
    ("name", "number"), [pytest.param(*case, id="-".join(map(str, case))) for case in CASES]
)


def encode(path: Path, frames: Frames, encoder: Encoder) -> Path:
    """A film of these frames, encoded as a shot is."""
    source = Picture(width=frames.shape[2], height=frames.shape[1], pix_fmt="yuv444p")
    picture = delivery_picture(source, pix_fmt=None, encoder=encoder)
    spec = EncodeSpec(encoder=encoder)
    encode_segment(path, frames, count=len(frames), spec=spec, picture=picture, rate=RATE)
    return path


def planes_of(path: Path, cache: Path) -> list[tuple[bytes, ...]]:
    """The samples of every frame of a film, as decoded."""
    index = index_source(str(path), cache_dir=cache)
    with FrameReader(index) as reader:
        return [
            tuple(plane.tobytes() for plane in reader.read_planes(frame))
            for frame in range(len(index))
        ]


@pytest.mark.remedy("unset DOUGA_FFMPEG; `pip install --force-reinstall av imageio-ffmpeg`")
def test_decode_and_encode_keep_every_sample(tmp_path: Path) -> None:
    """Decoding and encoding keep every sample."""
    first = encode(tmp_path / "first.mkv", make_film(), "ffv1")
    index = index_source(str(first), cache_dir=tmp_path)
    with FrameReader(index) as reader:
        codes = reader.read(range(len(index)))
    again = encode(tmp_path / "again.mkv", codes, "ffv1")
    assert planes_of(again, tmp_path) == planes_of(first, tmp_path), "samples changed"


@pytest.mark.parametrize("encoder", get_args(Encoder))
@pytest.mark.remedy("unset DOUGA_FFMPEG: the wheel's ffmpeg has every encoder")
def test_encoder_makes_the_same_bytes_twice(encoder: Encoder, tmp_path: Path) -> None:
    """Encoder makes the same bytes twice."""
    if FFMPEG_NAMES[encoder] not in encoders_available():
        pytest.skip("this ffmpeg lacks it")
    film = make_film(64, 64)  # libx265 takes no less
    one, two = (encode(tmp_path / f"{n}.mkv", film, encoder) for n in (1, 2))
    assert one.read_bytes() == two.read_bytes(), "the same frames gave other bytes"


@each_case
@pytest.mark.remedy(OTHER_BUILD)
def test_chunks_are_invisible(name: str, number: int) -> None:
    """Stage gives the same frames in any chunks."""
    film, track = make_film(), make_track(constant_rate=True)
    stage = ready(name, examples(name)[number], film=film)
    after = stage.track_after(track)
    whole = render(stage, track, after.span, film=film)
    for chunk in (1, 7):
        parts = [
            render(stage, track, span, film=film) for span in chunk_spans(len(after), chunk=chunk)
        ]
        assert np.array_equal(np.concatenate(parts), whole), f"chunks of {chunk} change frames"
    stage.close()


@each_case
@pytest.mark.remedy(OTHER_BUILD)
def test_threads_change_nothing(name: str, number: int) -> None:
    """Stage gives the same frames whatever threads were set."""
    film, track = make_film(), make_track(constant_rate=True)
    one, two = (
        render_with_threads(name, examples(name)[number], track, film=film, threads=threads)
        for threads in (1, 2)
    )
    assert np.array_equal(one, two), "two threads change frames"


@pytest.mark.remedy("set TMPDIR to a local disk; a store needs one that renames atomically")
def test_store_returns_what_was_put(tmp_path: Path) -> None:
    """A folder store returns what was put, and notices damage."""
    film, name = make_film(), "frames/ab/abcd.arrow"
    store = open_store((tmp_path / "store").as_uri())
    data = encode_chunk(film, first=0, times=make_track(constant_rate=True).times, meta={})
    digest = store.put(name, data)
    assert store.put(name, data, if_absent=True) == digest
    assert np.array_equal(read_frames(store, name, range(len(film))), film), "other frames came"
    for file in (tmp_path / "store").rglob("*.arrow*"):
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DigestError):
        store.get(name)


@pytest.mark.remedy("run it again with DOUGA_DEBUG=1; `douga doctor` names what is missing")
def test_render_makes_one_exact_film(tmp_path: Path) -> None:
    """A render that changes nothing gives the sources' own samples, verified."""
    film = make_film()
    shots = [
        encode(tmp_path / f"{name}.mkv", frames, "ffv1")
        for name, frames in (("one", film), ("two", film[::-1, ::-1]))
    ]
    sources = [{"path": str(shot)} for shot in shots]
    episode = {"name": "self-test", "sources": sources, "recipe": []}
    (tmp_path / "episode.yaml").write_text(json.dumps(episode))  # JSON is YAML
    out = tmp_path / "film.mkv"
    words = ("render", "episode.yaml", "-o", str(out), "--encoder", "ffv1", "--workers", "2")
    result = douga([*words, "--json"], tmp_path)
    assert len(result["shots"]) == 2, f"two shots became {len(result['shots'])}"
    assert result["verified"], "the film was not verified"
    expected = [planes for shot in shots for planes in planes_of(shot, tmp_path)]
    assert planes_of(out, tmp_path) == expected, "the film's samples are not the sources'"


def douga(words: Sequence[str], folder: Path) -> dict[str, Any]:
    """The JSON document of a command that runs in its own home and store."""
    kept = {name: value for name in KEPT_SETTINGS if (value := os.environ.get(name))}
    environment = {
        name: value
        for name, value in child_environment(secrets=("",)).items()
        if not name.startswith(("DOUGA_", "PREFECT_API_", "RAY_ADDRESS"))
    }
    ended = subprocess.run(
        [sys.executable, "-m", "flows.cli", *words],
        cwd=folder,
        env={**environment, **kept, "DOUGA_HOME": str(folder / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.strip().rpartition("\n")[2] or "no word of why"
    document: dict[str, Any] = json.loads(ended.stdout)
    return document
