"""The folder of models that users brought: add (checked and measured), remove, read the licence.

A model is a folder `<name>/` of `card.json`, the weights as they came, and `LICENCE`. It appears
whole or not at all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from cluster.errors import InputError, UsageError, os_reason
from cluster.files import read_plain
from cluster.keys import Digest
from cluster.settings import settings
from tasks.models.shelf import SHELF, Kind, ModelCard, model_names
from tasks.models.user.bring import bring, named
from tasks.models.user.examine import Examine, examine_file

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_LINE = 60
_LICENCE_BYTES = 4 << 20
LICENCE = "LICENCE"


def add_model(
    name: str,
    *,
    file: str,
    sha256: str,
    licence: Path | None = None,
    verb: str = "",
    kind: Kind = "faithful",
    phase: Callable[[str], None] = lambda _: None,
    examined: Examine = examine_file,
) -> ModelCard:
    """Register the weights at `file` (a path or an http(s) URL) as model `name`.

    They are copied, their digest is checked, the network is opened and measured; `phase` hears what
    is going on. `examined` looks at the file: in this process, or, as `douga models add` does, in
    one with limits. Errors: UsageError for a name or digest that cannot be, or a name that is
    taken; InputError where the file is not what it should be or the network cannot be used;
    ClusterError where what it runs on is not installed. Nothing is left behind then.
    """
    digest = _checked(name, sha256)
    text = _licence_text(licence)
    home = settings().models
    home.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=home))
    try:
        phase(f"fetching {named(file)}")
        brought = partial / "weights"
        bring(file, brought, sha256=digest)
        phase("measuring the network")
        card = examined(brought, name=name, kind=kind, sha256=digest)
        if verb and card.verb != verb:
            raise InputError(
                f"the file is a network for {card.verb}, not {verb}",
                where=f"model {name}",
                remedy="leave --verb out",
            )
        card = card.model_copy(
            update={"origin": named(file), "licence": _first_line(text) or "not given"}
        )
        brought.rename(partial / card.weights)
        if text:
            (partial / LICENCE).write_text(text)
        document = json.dumps(card.model_dump(exclude={"folder"}), indent=2)
        (partial / "card.json").write_text(document + "\n")
        partial.chmod(0o755)  # a temporary folder is for its owner only
        partial.rename(home / name)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return card.model_copy(update={"folder": str(home / name)})


def remove_model(name: str) -> Path:
    """Forget a registered model; the folder that is gone. UsageError where there is none."""
    folder = settings().models / name
    if not _NAME.fullmatch(name) or not (folder / "card.json").is_file():
        built_in = name in model_names(shelf=SHELF)
        names = ", ".join(model_names(shelf=settings().models)) or "none"
        raise UsageError(
            f"{name!r} is built in" if built_in else f"no model {name!r} was added",
            where="douga models remove",
            remedy=f"added models are {names}",
        )
    shutil.rmtree(folder)
    return folder


def licence_text(card: ModelCard) -> str:
    """The licence that was given with a registered model, "" where none was."""
    path = Path(card.folder) / LICENCE if card.folder else None
    return path.read_text() if path and path.is_file() else ""


def weights_bytes(card: ModelCard) -> int:
    """The size of a model's weights in bytes, 0 where they are missing."""
    path = Path(card.asset) if card.asset else SHELF / card.name / card.weights
    return path.stat().st_size if path.is_file() else 0


def _checked(name: str, sha256: str) -> Digest:
    where = "douga models add"
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a name",
            where=where,
            remedy="use a-z, 0-9, dot, hyphen and underscore, 64 at the most",
        )
    if name in model_names(shelf=SHELF):
        raise UsageError(f"{name!r} is built in", where=where, remedy="choose another name")
    if (settings().models / name).exists():
        raise UsageError(
            f"there is a model {name!r} already",
            where=where,
            remedy=f"douga models remove {name}, or choose another name",
        )
    digest = sha256.strip().lower().removeprefix("sha256:")
    if not _SHA256.fullmatch(digest):
        raise UsageError(
            f"--sha256 {sha256!r} is no SHA-256",
            where=where,
            remedy="expected the 64 hex digits that the file's publisher names",
        )
    return Digest(digest)


def _licence_text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return read_plain(os.path.expanduser(path), most_bytes=_LICENCE_BYTES).decode(
            errors="replace"
        )
    except OSError as error:
        raise InputError(
            f"the licence cannot be read: {os_reason(error)}", where=str(path)
        ) from error


def _first_line(text: str) -> str:
    lines = (line.strip("#*= \t") for line in text.splitlines())
    return next((line[:_LONGEST_LINE] for line in lines if line), "")
