"""Faults of the file as a whole: its end, its tags, its size."""

from __future__ import annotations

import struct
from dataclasses import replace

from tasks.encode.ffmpeg import run_ffmpeg
from tests.seeded.forger import Forger
from tests.seeded.placed import Placed


def film_cut_short(forger: Forger) -> Placed:
    data = forger.film.read_bytes()
    forger.out.write_bytes(data[: int(len(data) * forger.rng.uniform(0.6, 0.9))])
    return Placed(name="film cut short", says="frame count", also=".")


def wrong_duration(forger: Forger) -> Placed:
    data = bytearray(forger.film.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    (length,) = struct.unpack(">d", data[at : at + 8])
    data[at : at + 8] = struct.pack(">d", length * 1.1)
    forger.out.write_bytes(data)
    return Placed(name="wrong duration", says="^duration")


def wrong_colour_tag(forger: Forger) -> Placed:
    picture = replace(forger.plan.picture, matrix_tag="bt470bg")
    forger.join(forger.segments(), picture=picture)
    return Placed(name="wrong colour tag", says="^matrix")


def wrong_colour_tag_in_the_stream(forger: Forger) -> Placed:
    forger.ffmpeg("-bsf:v", "h264_metadata=matrix_coefficients=5")
    return Placed(name="wrong colour tag in the stream", says="^matrix")


def another_size(forger: Forger) -> Placed:
    forger.ffmpeg("-c:v", "libx264", "-vf", "scale=48:32")
    return Placed(name="another size", says="^(frame )?size", also="^segment")


def a_wrong_frame_in_a_film_encoded_anew(forger: Forger) -> Placed:
    number = forger.shot()
    frame = forger.frame(number)
    far = (frame + 500) % len(forger.plan.times)
    order = (
        f"[0:v]split[a][b];[a]trim=end_frame={frame},setpts=PTS-STARTPTS[x];"
        f"[b]split[c][d];[c]trim=start_frame={far}:end_frame={far + 1},setpts=PTS-STARTPTS[y];"
        f"[d]trim=start_frame={frame + 1},setpts=PTS-STARTPTS[z];[x][y][z]concat=n=3[v]"
    )
    run_ffmpeg(
        ["-i", str(forger.film), "-filter_complex", order, "-map", "[v]", "-map", "0",
         "-map", "-0:v", "-c", "copy", "-c:v", "libx264", "-crf", "14", str(forger.out)]
    )  # fmt: skip
    return forger.place("wrong frame, encoded anew", "picture", number, frames=(frame, frame + 1))
