"""What stages left for people, laid beside the film: `NAME.notes/`, a folder for each shot."""

from __future__ import annotations

import shutil
from pathlib import Path

from cluster.errors import EncodeError
from cluster.store import Store
from flows.plan import RenderPlan
from tasks.item import notes_name
from tasks.notes import join_lists, unpack_notes
from tasks.stage import Note

LIST = "notes.yaml"


def notes_folder(film: Path) -> Path:
    """Where the notes of a film lie."""
    return film.with_name(f"{film.stem}.notes")


def gather_notes(store: Store, plan: RenderPlan, film: Path) -> tuple[str, ...]:
    """Write the notes of every stored chunk of the plan beside the film, in place of older ones.

    A line for people where there are any. EncodeError where nothing can be written.
    """
    names = {notes_name(item.key): shot.shot.id for shot in plan.shots for item in shot.items()}
    shots: dict[str, dict[str, Note]] = {}
    for name in sorted(store.has(list(names))):
        kept = shots.setdefault(names[name], {})
        kept.update((note.name, note) for note in unpack_notes(store.get(name)))
    folder = notes_folder(film)
    try:
        if (folder / LIST).is_file():
            shutil.rmtree(folder)
        if not shots:
            return ()
        for shot, notes in shots.items():
            (folder / shot).mkdir(parents=True, exist_ok=True)
            for note in notes.values():
                (folder / shot / note.name).write_bytes(note.data)
        in_order = [shot.shot.id for shot in plan.shots if shot.shot.id in shots]
        (folder / LIST).write_bytes(join_lists({shot: shots[shot].values() for shot in in_order}))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise EncodeError(f"cannot be written ({why})", where=str(folder)) from error
    return (f"{len(shots)} shots have something for a person to look at: {folder / LIST}",)
