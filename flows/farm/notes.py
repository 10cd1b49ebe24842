"""What stages leave for people, beside the film: `NAME.notes/`, a folder for each shot."""

from __future__ import annotations

import errno
import secrets
import shutil
from pathlib import Path

from cluster.errors import DigestError, unwritable
from cluster.store.base import NotStored, Store
from cluster.store.records import note_damage
from flows.plan.plan import RenderPlan
from tasks.stages.stage import Note
from tasks.worker.item import notes_name
from tasks.worker.notes import join_lists, unpack_notes

LIST = "notes.yaml"
TRIES = 100
"""No more runs end at the same moment; a folder that is still there after these is not ours."""


def notes_folder(film: Path) -> Path:
    """The folder of a film's notes."""
    return film.with_name(f"{film.stem}.notes")


def gather_notes(store: Store, plan: RenderPlan, film: Path) -> tuple[str, ...]:
    """Write the notes of every stored chunk of the plan beside the film, in place of older ones.

    A line for people where there are any. EncodeError where nothing can be written.
    """
    names = {notes_name(item.key): shot.shot.id for shot in plan.shots for item in shot.items()}
    shots: dict[str, dict[str, Note]] = {}
    for name in sorted(store.has(list(names))):
        try:
            found = unpack_notes(store.get(name))
        except NotStored:
            continue
        except DigestError as error:
            note_damage(error.placed(f"{store.url}: {name}"), then="these notes are left out")
            continue
        shots.setdefault(names[name], {}).update((note.name, note) for note in found)
    folder = notes_folder(film)
    try:
        if not shots:
            _remove_old(folder)
            return ()
        fresh = _beside(folder)
        fresh.mkdir(parents=True)
        try:
            for shot, notes in shots.items():
                (fresh / shot).mkdir()
                for note in notes.values():
                    (fresh / shot / note.name).write_bytes(note.data)
            in_order = [shot.shot.id for shot in plan.shots if shot.shot.id in shots]
            listed = join_lists({shot: shots[shot].values() for shot in in_order})
            (fresh / LIST).write_bytes(listed)
            _move_into_place(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    return (f"{len(shots)} shots have something for a person to look at: {folder / LIST}",)


def _move_into_place(fresh: Path, folder: Path) -> None:
    """Give a folder its name; of two runs that do so at once, the later one's notes stay."""
    for left in range(TRIES, -1, -1):
        _remove_old(folder)
        try:
            fresh.rename(folder)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not left:
                raise


def _remove_old(folder: Path) -> None:
    """Remove notes of an earlier run at once; what is not notes stays, and is refused later."""
    if not (folder / LIST).is_file():
        return
    old = _beside(folder)
    try:
        folder.rename(old)
    except FileNotFoundError:  # another run was quicker
        return
    shutil.rmtree(old)


def _beside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
