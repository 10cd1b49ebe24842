"""Draws docs/pictures/map.svg, the rooms and which imports which, and writes docs/rooms.md.

Run by `make map`. Read from the code, so that it cannot lie: rooms and their imports by grimp, the
words on a card from the first sentence of the room's docstring. An arrow stands for an import that
no longer way of arrows already says (the transitive reduction: 74 arrows instead of 280). Rows are
floors: every arrow goes down. The same code gives the same bytes.
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from collections import defaultdict
from html import escape
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import grimp

ROOT = Path(__file__).resolve().parents[1]
PICTURE, PAGE = ROOT / "docs/pictures/map.svg", ROOT / "docs/rooms.md"
HOUSES = {
    "flows": ("when and why", "#2f5fa7", "#eef3fb"),
    "tasks": ("what happens to frames", "#a85a12", "#fdf4e9"),
    "cluster": ("where; knows nothing of animation", "#22744f", "#ecf7f1"),
}
WIDTH, CARD_W, CARD_H, ROW_H, HEAD_H = 1200, 190, 58, 90, 38
MARGIN, GAP, LANE = 20, 16, 10
Edge = tuple[str, str]


def read_rooms() -> dict[str, set[str]]:
    """Each room with the rooms that its modules import, as "house.room"."""
    graph = grimp.build_graph(*HOUSES, cache_dir=None)
    rooms: dict[str, set[str]] = {}
    for module in sorted(graph.modules):
        room = ".".join(module.split(".")[:2])
        if "." in room:
            imported = graph.find_modules_directly_imported_by(module)
            names = {".".join(name.split(".")[:2]) for name in imported if "." in name}
            rooms.setdefault(room, set()).update(names - {room})
    return rooms


def docstring(name: str) -> str:
    """What a package or module says of itself."""
    base = ROOT / name.replace(".", "/")
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def purpose(room: str) -> list[str]:
    """What a card says: the first sentence of the room's docstring, or its beginning that fits."""
    text = docstring(room).replace("`", "")
    first = " ".join(text.split("\n\n")[0].split()).split(". ")[0].rstrip(".")
    for stop in (None, "; ", ": ", ", "):
        lines = textwrap.wrap(first.split(stop)[0] if stop else first, 29)
        if len(lines) <= 2:
            return lines
    raise SystemExit(f"{room}: its docstring's first sentence is over two lines of a card")


def describe() -> str:
    """The page of rooms: every docstring, in the order of the contracts; drawn ones as drawn."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    order = {
        house: [room for layer in contract["layers"] for room in layer.split(" | ")]
        for contract in contracts["contracts"]
        for house in contract.get("containers", ())
    }
    parts = [
        "# The rooms",
        "From top to bottom: a room imports only rooms below it. Made by `make map` from the"
        " docstring of each.",
    ]
    for house in HOUSES:
        parts += [f"## {house}/", docstring(house)]
        for room in order[house]:
            text = docstring(f"{house}.{room}")
            drawn = "  " in text
            parts += [f"### {room}", f"```text\n{text}\n```" if drawn else text]
    return "\n\n".join(parts) + "\n"


def needed(rooms: dict[str, set[str]]) -> list[Edge]:
    """The imports that no longer way of imports already says."""

    def below(room: str) -> set[str]:
        return set().union(*({name} | below(name) for name in rooms[room]), set())

    reach = {room: below(room) for room in rooms}
    return [
        (room, name)
        for room in sorted(rooms)
        for name in sorted(rooms[room])
        if not any(name in reach[other] for other in rooms[room])
    ]


def floors(rooms: dict[str, set[str]]) -> dict[str, int]:
    """Row of each room from the top: above all that it imports, just below who uses it if that
    is nothing."""
    height: dict[str, int] = {}

    def climb(room: str) -> int:
        if room not in height:
            house = room.split(".")[0]
            own = [climb(name) for name in rooms[room] if name.startswith(f"{house}.")]
            height[room] = 1 + max(own, default=-1)
        return height[room]

    rows, top = {}, 0
    for house in HOUSES:
        own = [room for room in rooms if room.startswith(f"{house}.")]
        highest = max(climb(room) for room in own)
        for room in own:
            users = [height[user] for user in own if room in rooms[user]]
            if height[room] == 0 and users:
                height[room] = min(users) - 1
        rows.update({room: top + highest - height[room] for room in own})
        top += highest + 1
    return rows


class Layout:
    """Places cards, and a lane for every arrow through the rows that it passes."""

    def __init__(self, rows: dict[str, int], edges: list[Edge]) -> None:
        self.row = dict(rows)
        self.ways: dict[Edge, list[str]] = {}
        self.next_to: dict[str, list[str]] = defaultdict(list)
        for start, end in edges:
            lanes = [f"{start}>{end}@{row}" for row in range(rows[start] + 1, rows[end])]
            self.row.update({lane: int(lane.split("@")[1]) for lane in lanes})
            way = [start, *lanes, end]
            self.ways[start, end] = way
            for above, under in pairwise(way):
                self.next_to[above].append(under)
                self.next_to[under].append(above)
        count = max(self.row.values()) + 1
        self.order = [[n for n in self.row if self.row[n] == row] for row in range(count)]
        widest = max(sum(map(self.width, line)) for line in self.order)
        self.wide = round(max(WIDTH, widest + 2 * MARGIN))
        self.x = {n: self.wide / 2 + i for line in self.order for i, n in enumerate(line)}
        for sweep in range(400):
            down = sweep % 2 == 0
            for line in self.order if down else reversed(self.order):
                self._settle(line, above=down, below=not down, sort=sweep < 40)
            if sweep >= 40:
                for line in self.order:
                    self._settle(line, above=True, below=True, sort=False)
        edges_x = [(x - self.width(n) / 2, x + self.width(n) / 2) for n, x in self.x.items()]
        shift = (
            self.wide - min(left for left, _ in edges_x) - max(right for _, right in edges_x)
        ) / 2
        self.x = {n: round(x + shift, 1) for n, x in self.x.items()}

    def width(self, node: str) -> float:
        """What a card or a lane takes of its row."""
        return LANE if "@" in node else CARD_W + GAP

    def _settle(self, line: list[str], *, above: bool, below: bool, sort: bool) -> None:
        """Moves a row's nodes to the mean of their neighbours, kept apart by their widths."""
        wish = {}
        for n in line:
            rows = {self.row[n] - above, self.row[n] + below}
            near = [self.x[m] for m in self.next_to[n] if self.row[m] in rows]
            wish[n] = fmean(near) if near else self.x[n]
        if sort:
            line.sort(key=lambda n: (round(wish[n], 3), n))
        offset, total = {}, 0.0
        for n in line:
            offset[n] = total + self.width(n) / 2
            total += self.width(n)
        # Nodes that would overlap become a block, which stands at the mean of what its nodes wish.
        blocks: list[tuple[float, float, list[str]]] = []
        for n in line:
            blocks.append((wish[n] - offset[n], 3.0 if "@" in n else 1.0, [n]))
            while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
                (at, weight, names), (at2, weight2, names2) = blocks[-2:]
                both = weight + weight2
                blocks[-2:] = [((at * weight + at2 * weight2) / both, both, names + names2)]
        for at, _, names in blocks:
            start = min(max(at, MARGIN), max(MARGIN, self.wide - MARGIN - total))
            self.x.update({n: start + offset[n] for n in names})


def draw() -> str:
    """The picture as SVG text."""
    rooms = read_rooms()
    edges = needed(rooms)
    rows = floors(rooms)
    layout = Layout(rows, edges)
    wide = layout.wide
    top, bands, y = 64.0, [], {}
    for house in HOUSES:
        own = sorted({rows[room] for room in rooms if room.startswith(f"{house}.")})
        height = HEAD_H + ROW_H * len(own) - 14
        bands.append((house, top, height))
        y.update({row: top + HEAD_H + ROW_H * i for i, row in enumerate(own)})
        top += height + 22
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {top + 10:.0f}" '
        f'width="{wide}" height="{top + 10:.0f}" '
        'font-family="Inter, Segoe UI, Helvetica, Arial, sans-serif">',
        "<title>The rooms of douga and their imports</title>",
        f'<rect width="{wide}" height="{top + 10:.0f}" rx="14" fill="#ffffff"/>',
        '<text x="26" y="36" font-size="20" font-weight="700" fill="#1c2430">'
        "The rooms of douga</text>"
        f'<text x="{wide - 26}" y="36" font-size="13" fill="#5b6675" text-anchor="end">'
        "An arrow: imports; dashed: of another house. Left out: what a longer way of arrows says."
        "</text>",
    ]
    for house, at, height in bands:
        parts.append(
            f'<rect x="10" y="{at:g}" width="{wide - 20}" height="{height:g}" rx="12" '
            f'fill="{HOUSES[house][2]}"/>'
        )
    parts += [_arrow(layout, edge, y) for edge in edges]
    for house, at, _ in bands:
        words, ink, paper = HOUSES[house]
        parts.append(
            f'<text x="26" y="{at + 27:g}" font-size="17" font-weight="700" fill="{ink}" '
            f'stroke="{paper}" stroke-width="6" paint-order="stroke">{house}/'
            f'<tspan dx="10" font-size="13" font-weight="400">{words}</tspan></text>'
        )
    parts += [_card(room, layout.x[room], y[rows[room]]) for room in sorted(rooms)]
    return "\n".join([*parts, "</svg>", ""])


def _arrow(layout: Layout, edge: Edge, y: dict[int, float]) -> str:
    way = layout.ways[edge]
    ink = HOUSES[edge[0].split(".")[0]][1]
    start, end = (_port(layout, edge, node) for node in edge)
    row_of = layout.row
    points = [(start, y[row_of[edge[0]]] + CARD_H)]
    for lane in way[1:-1]:
        points += [(layout.x[lane], y[row_of[lane]]), (layout.x[lane], y[row_of[lane]] + CARD_H)]
    points.append((end, y[row_of[edge[1]]] - 7))
    path = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
        half = (y1 - y0) / 2
        bend = f"C{x0:g} {y0 + half:g} {x1:g} {y1 - half:g} {x1:g} {y1:g}"
        path.append(f"V{y1:g}" if i % 2 else bend)
    across = edge[0].split(".")[0] != edge[1].split(".")[0]
    style = 'stroke-opacity=".5" stroke-dasharray="5 4"' if across else 'stroke-opacity=".75"'
    tip = f"M{end - 4:g} {points[-1][1]:g}h8l-4 7z"
    return (
        f'<path d="{"".join(path)}" fill="none" stroke="{ink}" stroke-width="1.6" {style}/>'
        f'<path d="{tip}" fill="{ink}"/>'
    )


def _port(layout: Layout, edge: Edge, room: str) -> float:
    """Where on a card's edge an arrow leaves or arrives: in the order of where it goes."""
    side = 0 if edge[0] == room else 1
    way = [e for e in layout.ways if e[side] == room]
    near = {e: layout.x[layout.ways[e][1 if side == 0 else -2]] for e in way}
    way.sort(key=lambda e: (near[e], e))
    step = min(22.0, (CARD_W - 40) / len(way))
    return round(layout.x[room] + (way.index(edge) - (len(way) - 1) / 2) * step, 2)


def _card(room: str, x: float, y: float) -> str:
    house, name = room.split(".")
    ink = HOUSES[house][1]
    left = x - CARD_W / 2
    words = "".join(
        f'<text x="{left + 10:g}" y="{y + 35 + 14 * i:g}" font-size="12" fill="#3b4552">'
        f"{escape(line)}</text>"
        for i, line in enumerate(purpose(room))
    )
    return (
        f'<rect x="{left:g}" y="{y:g}" width="{CARD_W}" height="{CARD_H}" rx="7" fill="#ffffff" '
        f'stroke="{ink}" stroke-width="1.4"/>'
        f'<text x="{left + 10:g}" y="{y + 19:g}" font-size="14" font-weight="700" fill="{ink}">'
        f"{name}</text>{words}"
    )


if __name__ == "__main__":
    PICTURE.write_text(draw())
    PAGE.write_text(describe())
