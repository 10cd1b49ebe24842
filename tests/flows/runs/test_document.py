"""The document of a run comes back as it was given, and grows by little with untouched shots."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flows.runs.document import pack_document, unpack_document
from flows.runs.result import ShotLine

LINES = st.builds(
    ShotLine,
    id=st.text("sh0123456789", min_size=1),
    source=st.integers(0, 2),
    start=st.integers(0, 99),
    end=st.integers(100, 200),
    frames=st.integers(0, 200),
    chunks=st.integers(0, 3),
    computed=st.integers(0, 1),
    reused=st.integers(0, 3),
    state=st.sampled_from(["stored", "stored", "rendered", "failed"]),
    seconds=st.sampled_from([0.0, 1.5]),
    retries=st.integers(0, 1),
    error=st.sampled_from(["", "no"]),
)


def stored(shots: int) -> list[dict[str, Any]]:
    return [
        asdict(
            ShotLine(
                id=f"sh{shot:03d}0",
                source=0,
                start=shot * 100,
                end=shot * 100 + 100,
                frames=100,
                chunks=5,
                computed=0,
                reused=5,
                state="stored",
            )
        )
        for shot in range(shots)
    ]


@given(st.lists(LINES))
def test_a_document_comes_back_as_it_was_given(lines: list[ShotLine]) -> None:
    document: dict[str, Any] = {
        "film": "f.mkv",
        "shots": [asdict(line) for line in lines],
        "notes": ["x"],
    }
    packed = json.loads(json.dumps(pack_document(document)))
    assert unpack_document(packed) == document
    assert all(line in packed["shots"] for line in document["shots"] if line["state"] != "stored")


def test_an_untouched_shot_takes_a_few_bytes() -> None:
    document = {"shots": [*stored(300), {**stored(1)[0], "state": "rendered"}]}
    size = len(json.dumps(pack_document(document)))
    assert size < 60 * 300 < len(json.dumps(document)) / 3
