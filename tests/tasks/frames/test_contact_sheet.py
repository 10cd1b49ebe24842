"""The contact sheet: a PNG on which every picture and its label has a place of its own."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.frames.contact_sheet import contact_sheet


def read(png: bytes) -> NDArray[np.uint8]:
    assert png.startswith(b"\x89PNG")
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(picture, np.uint8)[:, :, ::-1]


def plain(
    red: int, green: int, blue: int, *, size: tuple[int, int] = (90, 160)
) -> NDArray[np.uint8]:
    return np.full((*size, 3), (red, green, blue), np.uint8)


def test_pictures_stand_in_reading_order_in_their_colours() -> None:
    paints = [(200, 30, 40), (30, 200, 40), (30, 40, 200), (220, 220, 20), (20, 220, 220)]
    sheet = read(contact_sheet([(f"sh{i}", plain(*p)) for i, p in enumerate(paints)], columns=2))
    height, width = sheet.shape[0] // 3, sheet.shape[1] // 2
    for number, paint in enumerate(paints):
        row, column = divmod(number, 2)
        middle = sheet[row * height + height // 3, column * width + width // 2]
        assert tuple(int(c) for c in middle) == paint


def test_every_label_is_drawn_and_fits_its_cell() -> None:
    label = "sh010  [1234567, 2345678)  01:23:45:06  a very long note on the shot that never ends"
    bare = read(contact_sheet([("", plain(0, 0, 0)), ("", plain(0, 0, 0))], columns=2))
    told = read(contact_sheet([(label, plain(0, 0, 0)), ("", plain(0, 0, 0))], columns=2))
    changed = np.argwhere((bare != told).any(-1))
    assert len(changed) > 50
    assert changed[:, 1].max() < bare.shape[1] // 2


def test_a_long_label_is_readable_to_its_end() -> None:
    long = "sh010  [1234567, 2345678)  01:23:45:06  take "
    sheets = {contact_sheet([(long + take, plain(0, 0, 0))]) for take in "127"}
    assert len(sheets) == 3


@pytest.mark.parametrize("size", [(90, 160), (160, 90), (1, 1), (400, 30)])
def test_pictures_of_any_shape_have_room(size: tuple[int, int]) -> None:
    sheet = read(contact_sheet([("a", plain(9, 9, 250, size=size)), ("b", plain(250, 9, 9))]))
    assert (sheet == (9, 9, 250)).all(-1).sum() > 100
    assert (sheet == (250, 9, 9)).all(-1).sum() > 1000


def test_no_pictures_make_no_sheet() -> None:
    with pytest.raises(ValueError, match="no pictures"):
        contact_sheet([])
