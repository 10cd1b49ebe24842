"""Good films to be damaged: tiny, in the containers and codecs that people bring."""

from __future__ import annotations

from pathlib import Path

from tasks.encode.ffmpeg import run_ffmpeg

SIZE = (64, 48)
FRAMES = 36
PICTURE = "-f lavfi -i testsrc2=size=64x48:rate=24:duration=1.5"
SOUND = "-f lavfi -i sine=frequency=440:duration=1.5"
X264 = "-pix_fmt yuv420p -c:v libx264 -preset fast -crf 18 -g 12 -keyint_min 12 -bf 2"

FILMS_READ = {"even.gif": 17, "even.apng": 17, "one.png": 1}
"""Frames of those that have other than FRAMES."""
GOOD: dict[str, str] = {
    "h264.mp4": f"{SOUND} {X264} -c:a aac -b:a 32k",
    "fast.mp4": f"{X264} -movflags +faststart",
    "fragments.mp4": f"{X264} -movflags +frag_keyframe+empty_moov+default_base_moof",
    "h264.mkv": f"{SOUND} {X264} -c:a flac -cluster_time_limit 250",
    "vp9.webm": (
        f"{SOUND} -pix_fmt yuv420p -c:v libvpx-vp9 -g 12 -b:v 200k -cpu-used 8 -deadline realtime "
        "-c:a libopus -b:a 32k -cluster_time_limit 250"
    ),
    "vp8.webm": "-pix_fmt yuv420p -c:v libvpx -g 12 -b:v 200k -cpu-used 8 -deadline realtime",
    "hevc.mkv": "-pix_fmt yuv420p -c:v libx265 -preset ultrafast "
    "-x265-params log-level=error:keyint=12:min-keyint=12:bframes=2",
    "av1.mkv": "-pix_fmt yuv420p -c:v libaom-av1 -cpu-used 8 -usage realtime -g 12 -b:v 200k",
    "ffv1.mkv": "-pix_fmt yuv420p -c:v ffv1 -level 3 -slicecrc 1 -g 6",
    "mpeg2.ts": "-pix_fmt yuv420p -c:v mpeg2video -g 12 -bf 2 -q:v 2",
    "mpeg4.avi": "-pix_fmt yuv420p -c:v mpeg4 -g 12 -q:v 2",
    "prores.mov": "-c:v prores_ks",
    "even.gif": "-r 10",
    "even.apng": "-r 10 -f apng -plays 0",
    "one.png": "-frames:v 1",
}
"""Name: ffmpeg's options behind the picture, which every one of them has first."""


def make_good(folder: Path, name: str) -> Path:
    """The good film of this name, made in `folder` where it is not there yet."""
    film = folder / name
    if not film.exists():
        run_ffmpeg([*PICTURE.split(), *GOOD[name].split(), str(film)])
    return film
