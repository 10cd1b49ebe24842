"""ASS subtitles: English dialogue and Japanese signs, set in the attached font."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from tasks.synthetic.description import Short
from tasks.synthetic.font import FAMILY

TITLES = {"en": "English dialogue", "ja": "看板"}
ISO = {"en": "eng", "ja": "jpn"}

_HEAD = """[Script Info]
Title: {title}
ScriptType: v4.00+
PlayResX: {width}
PlayResY: {height}
ScaledBorderAndShadow: yes
YCbCr Matrix: TV.709

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, \
Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, \
Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,{font},{text},&H00FFFFFF,&H000000FF,&H00281C26,&H80000000,0,0,0,0,100,100,0,0,1,\
{edge},0,2,20,20,{margin},1
Style: Thought,{font},{text},&H00E6F0FF,&H000000FF,&H00503828,&H80000000,0,1,0,0,100,100,0,0,1,\
{edge},0,8,20,20,{margin},1
Style: Sign,{font},{sign},&H00C8F0FF,&H000000FF,&H00202060,&H80000000,0,0,0,0,100,100,2,0,1,\
{edge},0,7,20,20,{margin},1
Style: Impact,{font},{shout},&H0030E0FF,&H000000FF,&H002020C0,&H80000000,0,0,0,0,100,100,0,8,1,\
{edge},0,9,20,20,{margin},1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def make_ass(short: Short, language: Literal["en", "ja"]) -> str:
    """The ASS script of one language. Times are the frames' own, to the format's centisecond."""
    high = short.height
    head = _HEAD.format(
        title=short.title,
        width=short.width,
        height=high,
        font=FAMILY,
        text=round(high / 13),
        sign=round(high / 9),
        shout=round(high / 5),
        edge=max(round(high / 240), 1),
        margin=round(high / 20),
    )
    events = [
        f"Dialogue: 0,{_clock(c.start / short.rate)},{_clock(c.end / short.rate)},"
        f"{c.style},,0,0,0,,{c.text}"
        for c in short.captions
        if c.language == language
    ]
    return head + "\n".join(events) + "\n"


def _clock(seconds: Fraction) -> str:
    hundredths = round(seconds * 100)
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest // 100:02d}.{rest % 100:02d}"
