"""What stages leave for people travels with a chunk and comes together for an episode."""

import yaml

from tasks.stages.stage import Note
from tasks.worker.notes import join_lists, pack_notes, unpack_notes

PICTURE = Note(name="000004.png", data=b"\x89PNG")
LIST = Note(name="000004.yaml", data=b'- {frame: 4, colour: "#112233"}\n')


def test_notes_come_back_and_are_the_same_bytes_in_any_order():
    packed = pack_notes([LIST, PICTURE])
    assert packed == pack_notes([PICTURE, LIST])
    assert set(unpack_notes(packed)) == {PICTURE, LIST}


def test_lists_are_joined_by_shot_in_the_order_of_frames():
    early = Note(name="000001.yaml", data=b'- {frame: 1, colour: "#445566"}\n')
    joined = yaml.safe_load(join_lists({"sh020": [LIST, PICTURE, early], "sh030": [PICTURE]}))
    assert list(joined) == ["sh020"]
    assert [entry["frame"] for entry in joined["sh020"]] == [1, 4]
    assert joined["sh020"][1]["colour"] == "#112233"


def test_no_lists_are_no_document():
    assert join_lists({"sh010": [PICTURE]}) == b""
