"""Notes and corrections that somebody else wrote: nothing is executed, nothing leads elsewhere."""

from __future__ import annotations

import io
import zipfile

import pytest

from cluster.errors import StoreError, UsageError
from tasks.stages.colorize.corrections import MAX_BYTES, read_corrections
from tasks.worker import notes
from tasks.worker.notes import unpack_notes


def packed(name: str, data: bytes = b"-") -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, data)
    return archive.getvalue()


@pytest.mark.parametrize("name", ["../up.png", "/etc/cron.d/x", "a/b.png", "..", ".ssh", "a\\b"])
def test_a_note_leads_out_of_no_folder(name: str) -> None:
    with pytest.raises(StoreError, match="not a note's name"):
        unpack_notes(packed(name))


def test_notes_do_not_unfold_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "NOTES_BYTES", 1 << 20)
    with pytest.raises(StoreError, match="more than 1 MiB"):
        unpack_notes(packed("a.png", bytes(2 << 20)))
    assert unpack_notes(packed("a.png", bytes(1 << 19)))


def test_what_is_no_zip_is_told() -> None:
    with pytest.raises(StoreError, match="not a zip of notes"):
        unpack_notes(b"PK, nearly")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "sh010: [!!python/object/apply:os.system ['exit']]",
            r"c.yaml:1: not valid YAML: could not",
        ),
        ("sh010:\n- frame: !!python/name:os.system", r"c.yaml:2: not valid YAML: could not"),
        ("sh010: " + "[" * 100_000, "nested too deeply|not valid YAML"),
        (
            "\n".join(
                [
                    "sh010: []",
                    "a: &a0 [1]",
                    *(f"b{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)),
                ]
            ),
            "c.yaml: too many values",
        ),
        ("#" * (MAX_BYTES + 1), "larger than 4096 KiB"),
    ],
    ids=["apply", "name", "deep", "aliases", "large"],
)
def test_corrections_are_data(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_corrections(text.encode(), "c.yaml", shot="sh010", shots=["sh010"])
