"""The contact sheet of a render: the middle frame of every shot, as it goes into the film."""

from __future__ import annotations

from cluster.chunk import read_frames
from cluster.store import NotStored, Store
from flows.plan import RenderPlan, ShotPlan
from tasks.contact_sheet import contact_sheet
from tasks.frames import to_uint8
from tasks.item import chunk_name


def store_sheet(store: Store, plan: RenderPlan) -> str | None:
    """Make the sheet and store it; its name, or None where no shot has a frame stored."""
    pictures = []
    for shot in plan.shots:
        middle = _middle(store, shot)
        if middle is not None:
            pictures.append((f"{shot.shot.id}  {len(shot.track)} frames", middle))
    if not pictures:
        return None
    name = f"reviews/{plan.episode}/{plan.run}-sheet.png"
    store.put(name, contact_sheet(pictures))
    return name


def _middle(store: Store, shot: ShotPlan):  # type: ignore[no-untyped-def]
    middle = len(shot.track) // 2
    for item in shot.runs[-1].items:
        if item.out.start <= middle < item.out.end:
            try:
                return to_uint8(read_frames(store, chunk_name(item.key), [middle])[0])
            except NotStored:
                return None
    return None
