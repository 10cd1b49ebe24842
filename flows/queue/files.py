"""Files that a submission brings along: sent to the store by content, laid out where it is rendered
as its sender had them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cluster.errors import InputError, UsageError, os_reason, unwritable
from cluster.keys import digest_file, make_key
from cluster.settings import home_folder
from cluster.store.base import NotStored, Store
from flows.progress import Reporter
from flows.queue.submission import SentFile, Submission
from flows.spec.allowed_paths import check_allowed
from flows.spec.documents import EpisodeSpec
from flows.spec.request import RenderRequest
from flows.words import count_words, size_words
from tasks.decode.digest import file_digest
from tasks.stages.registry import make_stage
from tasks.worker.item import source_name

AT_ONCE = 8
"""Files on their way: of many small ones most of the time of each is the way there and back."""
RECEIVED = "received"
"""The folder of douga's home in which submissions are laid out."""


def send_files(
    request: RenderRequest,
    store: Store,
    reporter: Reporter,
    *,
    shared: Sequence[str] = (),
    dry_run: bool = False,
) -> tuple[RenderRequest, tuple[SentFile, ...]]:
    """Put the files that a request names into its store, each once for its content, but those under
    folders that the farm shares; with `dry_run` nothing is put. The request with absolute paths,
    and what was sent.

    InputError where a file cannot be read or changes meanwhile.
    """
    episode = request.episode
    written = {path for path in _named(episode) if "://" not in path}
    places = {path: episode.resolve(path) for path in written}
    settled = _renamed(request.model_dump(mode="json"), places)
    # Both are settled in the request.
    settled["episode"]["store"] = settled["episode"]["delivery"]["output"] = None
    files = [file for file in _files(places.values()) if not is_under(file, shared)]
    if files:
        reporter.phase(f"looking at {count_words(len(files), 'file')} to send")
    sent = [_as_sent(file) for file in files]
    names = [source_name(each.digest) for each in sent]
    has = store.has(names) if names else set()
    missing = {n: each for n, each in zip(names, sent, strict=True) if n not in has}
    total, done = sum(each.size_bytes for each in missing.values()), 0
    if dry_run:
        missing = {}
    if missing:
        what = f"{count_words(len(missing), 'file')}, {size_words(total)}"
        reporter.phase(f"sending {what}")
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for size in threads.map(lambda item: _put(store, *item), missing.items()):
            done += size
            reporter.fraction(done / max(total, 1))
    return RenderRequest.model_validate(settled), tuple(sent)


def _as_sent(file: Path) -> SentFile:
    try:
        size = file.stat().st_size
    except OSError as error:
        raise InputError(f"cannot be read: {os_reason(error)}", where=str(file)) from error
    digest = file_digest(file, cache_dir=home_folder("cache"))
    return SentFile(path=str(file), digest=digest, size_bytes=size)


def _put(store: Store, name: str, sent: SentFile) -> int:
    """Store a file under a name that tells its content; its bytes."""
    if store.put_file(name, Path(sent.path)) != sent.digest:
        store.delete(name)
        raise InputError("changed while it was sent", where=sent.path, remedy="submit it again")
    return sent.size_bytes


def receive(
    submission: Submission, store: Store, reporter: Reporter, *, film: Path
) -> RenderRequest:
    """The request of a submission with paths of this machine: its files are laid out here, and the
    film goes to `film`. Its paths are held to DOUGA_ROOTS.

    Files have the folders that they had where they came from, so that what names one by the tail of
    its path finds it. UsageError for a path that leads out, InputError for a file that the store
    has no more.
    """
    folder = home_folder(RECEIVED) / make_key([submission.store, submission.name])
    for each in submission.files:
        _lay_out(each, folder, store, reporter)
    moved = {each.path: str(_place(folder, each.path)) for each in submission.files}
    moved |= {str(Path(path).parent): str(Path(place).parent) for path, place in moved.items()}
    data = _renamed(dict(submission.request), moved)
    episode = {**data["episode"], "folder": str(folder)}
    request = RenderRequest.model_validate({**data, "episode": episode, "output": str(film)})
    for path in (request.store, *(path for _, path in request.episode.paths())):
        check_allowed(request.episode.resolve(path))
    return request


def forget_files(submission: Submission) -> None:
    """Take away what was laid out for a submission that has ended."""
    folder = home_folder(RECEIVED) / make_key([submission.store, submission.name])
    shutil.rmtree(folder, ignore_errors=True)


def _files(places: Iterable[str]) -> list[Path]:
    """Every file at these absolute paths, each once; of a folder of frames all that lie in it."""
    found: dict[Path, None] = {}
    for place in sorted(map(Path, places)):
        within = sorted(place.iterdir()) if place.is_dir() else [place]
        for each in within:
            if each == place or not (each.name.startswith(".") or each.is_dir()):
                found[each] = None
    return list(found)


def _named(episode: EpisodeSpec) -> Iterator[str]:
    """The paths that an episode reads: its own and those of its stages' parameters."""
    for place, path in episode.paths():
        if place[0] not in ("delivery", "store"):
            yield path
    recipes = [episode.recipe, *(episode.recipe_for(shot) for shot in episode.shots)]
    for step in (step for recipe in recipes for step in recipe):
        yield from make_stage(step.stage, step.params).assets()


def _lay_out(sent: SentFile, folder: Path, store: Store, reporter: Reporter) -> None:
    """A file at its place in `folder`: fetched once for its content, for whatever submission."""
    place = _place(folder, sent.path)
    if place.is_file() and place.stat().st_size == sent.size_bytes:
        return
    copy = home_folder(RECEIVED) / "content" / sent.digest
    try:
        copy.parent.mkdir(mode=0o700, exist_ok=True)
        if not copy.exists() or digest_file(copy) != sent.digest:
            reporter.phase(f"fetching {place.name} ({size_words(sent.size_bytes)})")
            store.get_file(source_name(sent.digest), copy)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        os.link(copy, place)
    except NotStored as error:
        raise InputError(
            "was sent with the episode, and is not in the store any more",
            where=sent.path,
            remedy="submit the episode again",
        ) from error
    except OSError as error:
        raise unwritable(place, error, remedy="free some space") from error


def _place(folder: Path, path: str) -> Path:
    """Where a sender's absolute path lies in `folder`. UsageError for one that is none."""
    parts = Path(path).parts
    if not parts or parts[0] != "/" or ".." in parts:
        raise UsageError("expected an absolute path of the sender's", where=path)
    return folder.joinpath(*parts[1:])


def _renamed(value: Any, moved: dict[str, str]) -> Any:
    """Plain data in which every text that is a moved path is its new place."""
    if isinstance(value, dict):
        return {name: _renamed(each, moved) for name, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, moved) for each in value]
    return moved.get(value, value) if isinstance(value, str) else value


def is_under(path: Path, folders: Iterable[str]) -> bool:
    """Whether a path lies in one of some folders, links followed."""
    return any(Path(os.path.realpath(path)).is_relative_to(os.path.realpath(f)) for f in folders)
