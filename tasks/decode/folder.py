"""A folder of numbered pictures as a source: one file per frame."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from cluster.errors import InputError, UsageError, os_reason
from cluster.files import special_kind
from cluster.keys import Digest, digest_bytes, make_key
from tasks.decode.describe import picture_of
from tasks.decode.digest import file_digest
from tasks.decode.picture_file import decode_picture, read_header
from tasks.decode.planes import can_widen, planar_format
from tasks.decode.source import SourceIndex

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".bmp", ".dpx", ".webp"))
_LAST_NUMBER = re.compile(r"(\d+)(?=\D*$)")
_PATTERN = re.compile(r"%(?:0(\d+))?d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The frames of a folder: file names in the order of their numbers."""

    folder: Path
    names: tuple[str, ...]


def find_frames(path: str) -> Listing | None:
    """The frames that a folder or a `%04d` pattern names; None where `path` is neither.

    InputError, naming the file, for: no frames, a gap or a double in the numbers, a picture
    without a number, two kinds of name in one folder. UsageError for a picture that is no file.
    """
    place = Path(path)
    match = _PATTERN.search(place.name)
    if match and not place.exists():
        width = f"{{{match[1]}}}" if match[1] else "+"
        head, tail = place.name[: match.start()], place.name[match.end() :]
        wanted = re.compile(f"{re.escape(head)}[0-9]{width}{re.escape(tail)}")
        names = [file.name for file in _files(place.parent, path) if wanted.fullmatch(file.name)]
        return Listing(folder=place.parent, names=_numbered(names, path))
    if not place.is_dir():
        return None
    found = _files(place, path)
    pictures = [file.name for file in found if file.suffix.lower() in SUFFIXES]
    if not pictures:
        raise InputError(
            f"is a folder without frames, expected {', '.join(sorted(SUFFIXES))} files"
            + (f", found {found[0].name}" if found else ""),
            where=path,
            remedy="name the folder that holds the numbered frames, or a film",
        )
    return Listing(folder=place, names=_numbered(pictures, path))


def index_folder(
    path: str, listing: Listing, *, fps: Fraction, cache_dir: Path | None
) -> SourceIndex:
    """Index a folder of frames shown at `fps`: frame k appears at k / fps seconds.

    The header of every file is read. All must have one size; grey among colour and 8 among 16 bits
    are brought to the widest, without loss. InputError names the file that does not fit.
    """
    headers = [read_header(listing.folder / name) for name in listing.names]
    first = headers[0]
    for name, other in zip(listing.names, headers, strict=True):
        if (other.width, other.height) != (first.width, first.height):
            raise InputError(
                f"is {other.width}x{other.height}, but {listing.names[0]} is "
                f"{first.width}x{first.height}",
                where=str(listing.folder / name),
                remedy="all frames of a folder must have one size",
            )
    target = _common_format(listing, [other.coded_format for other in headers])
    like = next(k for k, h in enumerate(headers) if planar_format(h.coded_format)[:4] == target[:4])
    sample = listing.folder / listing.names[like]
    picture = picture_of(decode_picture(sample), siting=headers[like].siting, sar=headers[like].sar)
    depth = 16 if target.endswith("16le") else picture.depth
    picture = replace(picture, pix_fmt=target, depth=depth)
    digests = tuple(file_digest(listing.folder / n, cache_dir=cache_dir) for n in listing.names)
    return SourceIndex(
        path=path,
        kind="folder",
        digest=folder_digest(listing.names, digests),
        picture=picture,
        pts=tuple(range(len(digests))),
        time_base=1 / fps,
        start=Fraction(0),
        end=len(digests) / fps,
        rate=fps,
        coded_format=first.coded_format,
        codec=first.codec,
        container="folder",
        frames=listing.names,
        frame_digests=digests,
        duration=len(digests) / fps,
    )


def folder_digest(names: Sequence[str], digests: Sequence[Digest]) -> Digest:
    """The digest of a folder: of its frames' names and digests, in order."""
    return digest_bytes(make_key([list(names), list(digests)]).encode())


def folder_of(index: SourceIndex) -> Path:
    """The folder that a folder index's frames lie in."""
    place = Path(index.path)
    return place.parent if _PATTERN.search(place.name) and not place.is_dir() else place


def _files(folder: Path, path: str) -> list[Path]:
    try:
        found = sorted(folder.iterdir())
        files = [file for file in found if file.is_file()]
    except OSError as error:
        raise InputError(f"cannot be listed: {os_reason(error)}", where=path) from error
    for file in found:
        if file.suffix.lower() in SUFFIXES and (kind := special_kind(file)):
            raise UsageError(f"is {kind}, not a file", where=str(file), remedy="move it away")
    return files


def _numbered(names: list[str], path: str) -> tuple[str, ...]:
    """Names in the order of their last number, which must count up by one."""
    if not names:
        raise InputError("matches no frames", where=path, remedy="check the pattern")
    numbers: dict[int, str] = {}
    stems: dict[str, str] = {}
    for name in names:
        match = _LAST_NUMBER.search(Path(name).stem)
        if match is None:
            raise InputError(
                "has no frame number in its name", where=f"{path}/{name}", remedy="move it away"
            )
        number = int(match[1])
        if number in numbers:
            raise InputError(
                f"{numbers[number]} and {name} are both frame {number}",
                where=path,
                remedy="keep one picture per frame in the folder",
            )
        numbers[number] = name
        stems.setdefault(Path(name).stem[: match.start()], name)
    if len(stems) > 1:
        one, other = list(stems.values())[:2]
        raise InputError(
            f"holds two sequences, {one} and {other}",
            where=path,
            remedy="name one of them by a pattern such as shot_%04d.png",
        )
    ordered = sorted(numbers)
    for before, number in pairwise(ordered):
        if number != before + 1:
            missing = f"frame {before + 1}" + (f" to {number - 1}" if number > before + 2 else "")
            raise InputError(
                f"{missing} is missing between {numbers[before]} and {numbers[number]}",
                where=path,
                remedy="export the missing frames, or renumber",
            )
    return tuple(numbers[number] for number in ordered)


def _common_format(listing: Listing, coded: Sequence[str]) -> str:
    """The narrowest planar format that holds every frame exactly."""
    formats = [planar_format(name) for name in coded]
    if len(set(coded)) == 1:
        return formats[0]
    kind = "gbrp" if any(name.startswith("gbrp") for name in formats) else "gray"
    target = kind + ("16le" if any(name.endswith("16le") for name in formats) else "")
    for name, found in zip(listing.names, coded, strict=True):
        if not can_widen(found, target):
            raise InputError(
                f"is {found}, but {listing.names[0]} is {coded[0]}",
                where=str(listing.folder / name),
                remedy="export all frames in one pixel format",
            )
    return target
