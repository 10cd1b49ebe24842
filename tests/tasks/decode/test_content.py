"""What names a source's frames: their content, never their path; and digests are remembered."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import InputError
from cluster.keys import Digest, digest_file, make_key
from tasks.decode import decoder_build, index_source, source_key_material
from tasks.decode.digest import file_digest


def test_key_depends_on_content_frames_and_colour_alone(clips: Any) -> None:
    index = index_source(str(clips("closed.mp4")))
    key = make_key(source_key_material(index, [3, 4]))
    assert make_key(source_key_material(replace(index, path="/elsewhere.mp4"), [3, 4])) == key
    assert make_key(source_key_material(index, [3, 5])) != key
    assert make_key(source_key_material(index, [4, 3])) != key
    other = replace(index, picture=replace(index.picture, matrix="bt709"))
    assert make_key(source_key_material(other, [3, 4])) != key
    assert make_key(source_key_material(replace(index, digest=Digest("0" * 64)), [3, 4])) != key


def test_build_names_the_decoder() -> None:
    assert decoder_build().startswith("pyav ")
    assert "libavcodec 6" in decoder_build()


def test_digest_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    film, cache = tmp_path / "film.mkv", tmp_path / "cache"
    film.write_bytes(b"one")
    os.utime(film, ns=(1, 1))
    first = file_digest(film, cache_dir=cache)
    assert first == digest_file(film)
    (note,) = (cache / "digests").iterdir()
    note.write_text("f" * 64)
    assert file_digest(film, cache_dir=cache) == "f" * 64, "the file was read again"
    film.write_bytes(b"two")
    os.utime(film, ns=(1, 1))
    assert file_digest(film, cache_dir=cache) == digest_file(film) != first


def test_digest_of_a_file_just_written_is_not_remembered(tmp_path: Path) -> None:
    """One more write of the same size might fall into the same tick of its time stamp."""
    film, cache = tmp_path / "film.mkv", tmp_path / "cache"
    film.write_bytes(b"one")
    file_digest(film, cache_dir=cache)
    assert not cache.exists()


def test_damaged_note_is_made_anew(tmp_path: Path) -> None:
    film, cache = tmp_path / "film.mkv", tmp_path / "cache"
    film.write_bytes(b"one")
    os.utime(film, ns=(1, 1))
    right = file_digest(film, cache_dir=cache)
    for note in (cache / "digests").iterdir():
        note.write_text("half")
    assert file_digest(film, cache_dir=cache) == right


def test_cache_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(b"one")
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, no folder")
    assert file_digest(film, cache_dir=blocked) == digest_file(film)


def test_file_that_is_away_is_refused(tmp_path: Path) -> None:
    for cache in (None, tmp_path):
        with pytest.raises(InputError, match="cannot be read: no such file"):
            file_digest(tmp_path / "away.mkv", cache_dir=cache)
