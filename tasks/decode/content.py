"""Key material: what identifies a source's frames in a content address."""

from __future__ import annotations

from collections.abc import Sequence

import av

from tasks.decode.source import SourceIndex


def source_key_material(index: SourceIndex, indices: Sequence[int]) -> object:
    """What the codes of these frames depend on, for `make_key`; add `decoder_build()` beside it.

    The colour that conversion uses, and: for a folder, the digests of just these files, so that a
    changed file touches only what uses it; for a film, its digest and the frames' own timestamps.
    Paths, names and times play no part.
    """
    picture = index.picture
    if index.picks:
        indices = [index.picks[k] for k in indices]
    colour = [picture.pix_fmt, picture.depth, picture.matrix, picture.range, picture.siting]
    if index.kind == "black":
        size = [picture.width, picture.height]
        return {"colour": colour, "black": size, "frames": len(indices)}
    if index.kind == "folder":
        return {"colour": colour, "files": [index.frame_digests[k] for k in indices]}
    return {
        "colour": colour,
        "source": index.digest,
        "stream": index.stream,
        "rotation": index.rotation,
        "pts": [index.pts[k] for k in indices],
    }


def decoder_build() -> str:
    """The decoder's build: `pyav 18.1.0 libavcodec 62.28.102 libavformat 62.12.102`."""
    parts = ("libavcodec", "libavformat")
    versions = (f"{part} {'.'.join(map(str, av.library_versions[part]))}" for part in parts)
    return f"pyav {av.__version__} {' '.join(versions)}"
