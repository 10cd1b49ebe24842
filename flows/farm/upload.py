"""What workers read besides frames, put into the store before they start."""

from __future__ import annotations

from pathlib import Path

from cluster.store.base import Store
from flows.plan.prepare import Prepared
from tasks.decode.unchanged import changed
from tasks.worker.item import asset_name, source_name
from tasks.worker.readers import pack_index


def upload_inputs(prepared: Prepared) -> None:
    """Put the sources' indices and the stages' assets into the store, and the sources themselves
    where workers on other machines could not open their paths."""
    store = prepared.store
    for index, name in prepared.index_names():
        if not store.has([name]):
            store.put(name, pack_index(index))
        copy = source_name(index.digest)
        distant = prepared.request.ray and store.url.startswith("s3://")
        plain = "://" not in index.path and Path(index.path).is_file()
        if distant and plain and not store.has([copy]):
            _put(store, copy, Path(index.path), digest=index.content)
    for entry in prepared.inputs:
        for path, digest in entry.assets.items():
            if not store.has([asset_name(digest)]):
                file = Path(prepared.request.episode.resolve(path))
                _put(store, asset_name(digest), file, digest=digest)


def _put(store: Store, name: str, file: Path, *, digest: str) -> None:
    """Store a file under a name that tells its content. InputError if it has another one by now."""
    if store.put_file(name, file) != digest:
        store.delete(name)
        raise changed(str(file))
