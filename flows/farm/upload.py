"""What workers read besides frames, put into the store before they start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cluster.errors import DigestError, DougaError, InputError
from cluster.keys import digest_bytes
from cluster.store.base import NotStored, Store
from cluster.store.records import note_damage
from flows.plan.prepare import Prepared
from flows.progress import Reporter
from tasks.decode.unchanged import changed
from tasks.worker.item import asset_name, source_name
from tasks.worker.readers import pack_index, unpack_index


def upload_inputs(prepared: Prepared, reporter: Reporter) -> None:
    """Put the sources' indices and the stages' assets into the store, and the sources themselves
    where workers on other machines could not open their paths: once, whoever renders them, and
    where an earlier upload was broken off from there on."""
    store = prepared.store
    for index, name in prepared.index_names():
        if not _is_index(store, name):
            store.put(name, pack_index(index))
        copy = source_name(index.digest)
        plain = "://" not in index.path and Path(index.path).is_file()
        if is_distant(prepared.request.ray, store.url) and plain and not store.has([copy]):
            reporter.phase(f"uploading {Path(index.path).name}")
            file = Path(index.path)
            _put(store, copy, file, digest=index.content, told=reporter.fraction)
    for entry in prepared.inputs:
        for path, digest in entry.assets.items():
            if not _is_whole(store, asset_name(digest), digest):
                file = Path(prepared.request.episode.resolve(path))
                _put(store, asset_name(digest), file, digest=digest)


def is_distant(ray: str, store_url: str) -> bool:
    """Whether workers may not see this machine's files: they do where Ray is on this machine and
    the store a folder of it."""
    if not ray:
        return False
    host = ray.removeprefix("ray://").rpartition(":")[0]
    return store_url.startswith("s3://") or host not in ("", "localhost", "127.0.0.1", "[::1]")


def _is_index(store: Store, name: str) -> bool:
    """Whether an index is stored that workers can read: one that is damaged, or of another
    version, would fail every shot."""
    try:
        unpack_index(store.get(name))
    except NotStored:
        return False
    except (DigestError, InputError) as error:
        return _is_to_be_put(store, name, error)
    return True


def _is_whole(store: Store, name: str, digest: str) -> bool:
    """Whether an asset is stored as its name tells."""
    try:
        return digest_bytes(store.get(name)) == digest
    except NotStored:
        return False
    except DigestError as error:
        return _is_to_be_put(store, name, error)


def _is_to_be_put(store: Store, name: str, error: DougaError) -> bool:
    """False: what is stored is of no use. It is told, and needs no remedy."""
    note_damage(DougaError(error.what, where=f"{store.url}: {name}"), then="it is put anew")
    return False


def _put(
    store: Store,
    name: str,
    file: Path,
    *,
    digest: str,
    told: Callable[[float], None] | None = None,
) -> None:
    """Store a file under a name that tells its content. InputError if it has another one by now."""
    if store.put_file(name, file, told=told) != digest:
        store.delete(name)
        raise changed(str(file))
