"""Notes that stages write for people: packed with each chunk, joined for an episode."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence

import yaml

from cluster.errors import DigestError
from tasks.stages.stage import Note

NOTES_BYTES = 1 << 30
"""A chunk's notes are a few small pictures and words."""
UNFIT = (OSError, EOFError, ValueError, LookupError, RuntimeError)
"""What the reader of zips raises, beside its own errors, for one that is damaged."""
REMEDY = "douga store check --repair"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The same notes are the same bytes, whenever they are written."""


def pack_notes(notes: Sequence[Note]) -> bytes:
    """A zip of the notes, in order of their names."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for note in sorted(notes, key=lambda note: note.name):
            archive.writestr(zipfile.ZipInfo(note.name, _EPOCH), note.data)
    return packed.getvalue()


def unpack_notes(data: bytes) -> tuple[Note, ...]:
    """The notes of a zip. DigestError for one that is damaged, or that no stage has made: with a
    name that would lead out of the folder it is laid in, or unpacking to more than NOTES_BYTES."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > NOTES_BYTES:
                raise DigestError(f"notes that unpack to more than {NOTES_BYTES >> 20} MiB")
            for entry in entries:
                if set("/\\\0") & set(entry.filename) or entry.filename[:1] in ("", "."):
                    raise DigestError(f"not a note's name: {entry.filename[:100]!r}")
            return tuple(Note(name=entry.filename, data=archive.read(entry)) for entry in entries)
    except (zipfile.BadZipFile, zlib.error, *UNFIT) as error:
        raise DigestError(f"not a zip of notes ({error})", remedy=REMEDY) from error


def join_lists(shots: Mapping[str, Iterable[Note]]) -> bytes:
    """One YAML document, shot → entries, of the lists among the shots' notes; b"" for none."""
    joined = {
        shot: [
            entry
            for note in sorted(notes, key=lambda note: note.name)
            if note.name.endswith(".yaml")
            for entry in yaml.safe_load(note.data) or []
        ]
        for shot, notes in shots.items()
    }
    joined = {shot: entries for shot, entries in joined.items() if entries}
    if not joined:
        return b""
    lines = []
    for shot, entries in joined.items():
        lines.append(f"{shot}:")
        for entry in entries:
            flow = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10_000)
            lines.append(f"  - {flow.strip()}")
    return ("\n".join(lines) + "\n").encode()
