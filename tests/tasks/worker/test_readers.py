"""A worker's sources: its own path, or a copy from the store that is the file that was indexed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cluster.store.open import open_store
from tasks.decode import FrameReader, index_source
from tasks.encode.ffmpeg import run_ffmpeg
from tasks.worker.item import SourceInput, source_name
from tasks.worker.readers import Readers, pack_index


def read(readers: Readers, source: SourceInput, indices: list[int]) -> np.ndarray:
    reader, decoded = readers.decode(source, indices)
    return np.stack([reader.codes_of(planes) for planes in decoded])


@pytest.mark.parametrize("harm", [b"", b"half", b"\x00" * 20_000])
def test_a_damaged_copy_is_taken_from_the_store_again(harm: bytes, tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    run_ffmpeg(["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24:duration=0.5", str(film)])
    index = index_source(str(film))
    with FrameReader(index) as reader:
        due = reader.read([0, 5])
    store = open_store(str(tmp_path / "store"))
    store.put("index", pack_index(index))
    store.put_file(source_name(index.digest), film)
    film.unlink()
    source = SourceInput(path=str(film), digest=index.digest, index_name="index", first=0)
    cache = tmp_path / "cache"
    assert np.array_equal(read(Readers(store, cache), source, [0, 5]), due)
    (copy,) = (cache / "sources").iterdir()
    copy.write_bytes(harm)
    assert np.array_equal(read(Readers(store, cache), source, [0, 5]), due)
    assert np.array_equal(read(Readers(store, cache), replace(source, first=0), [5]), due[1:])
