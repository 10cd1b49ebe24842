"""Sources that are no file of their own: black, and chosen frames of another source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from cluster.errors import InputError
from cluster.keys import digest_bytes, make_key
from tasks.decode.source import SourceIndex
from tasks.frames.picture import Picture

BLACK_PATH = "(black)"
"""What messages call a source of black frames."""


def black_index(picture: Picture, *, count: int, seconds: Fraction) -> SourceIndex:
    """`count` black frames of this picture that fill so many seconds evenly.

    Nothing is opened to read them. Two of the same description have the same digest.
    """
    picture = replace(picture, guessed=())
    rate = count / seconds
    return SourceIndex(
        path=BLACK_PATH,
        kind="black",
        digest=digest_bytes(make_key({"black": picture, "frames": count}).encode()),
        picture=picture,
        pts=tuple(range(count)),
        time_base=1 / rate,
        start=Fraction(0),
        end=seconds,
        rate=rate,
        coded_format=picture.pix_fmt,
        container="black",
    )


def picked_index(index: SourceIndex, picks: Sequence[int]) -> SourceIndex:
    """A source whose frame k is frame `picks[k]` of another, at the same constant rate.

    Frames may be left out and repeated. InputError where the source's rate varies.
    """
    if index.rate is None:
        raise InputError("has no constant rate, so its frames cannot be picked", where=index.path)
    return replace(
        index,
        digest=digest_bytes(make_key({"of": index.digest, "picks": list(picks)}).encode()),
        picks=tuple(picks),
        picked_from=index.content,
        end=index.start + len(picks) / index.rate,
        streams=(),
        chapters=(),
    )
