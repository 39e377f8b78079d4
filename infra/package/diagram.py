"""Owns docs/architecture.svg: the architecture diagram, drawn from the lines of docs/architecture.txt, in the size that AWS Marketplace asks for.

A generator of its own: what draws text as boxes elsewhere chooses the size itself, needs programs beside Python, or cannot show AWS's icons,
which AWS Marketplace wants and which only AWS hands out. Given the folder of AWS's icons, they are drawn into the boxes.

    frame NAME X Y WIDTH HEIGHT | title
    box NAME X Y WIDTH HEIGHT | service | what it is here | icon
    arrow FROM TO [X or Y of the line, where the middle is not meant] | label
    text X Y | words
"""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from pathlib import Path

from . import template

SOURCE = template.ROOT / "docs" / "architecture.txt"
TARGET = template.ROOT / "docs" / "architecture.svg"
WIDTH, HEIGHT = 1100, 700
_ICON = 28
# From which overlap two boxes are joined by a straight line.
_OVERLAP = 28


@dataclass(frozen=True)
class Box:
    x: int
    y: int
    width: int
    height: int
    texts: tuple[str, ...]
    frame: bool

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height


def draw(source: str, icons: Path | None = None) -> str:
    """The diagram as SVG. Whatever is not drawn as meant is an error."""
    boxes: dict[str, Box] = {}
    arrows: list[tuple[str, str, int | None, str]] = []
    texts: list[tuple[int, int, str]] = []
    for number, line in enumerate(source.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        (kind, *words), *parts = (part.split() if index == 0 else part.strip() for index, part in enumerate(line.split("|")))
        try:
            match kind:
                case "frame" | "box":
                    name, *numbers = words
                    if name in boxes:
                        raise ValueError(f"{name} is drawn twice")
                    boxes[name] = _box(*map(int, numbers), tuple(parts), kind == "frame")
                case "arrow":
                    begin, end, *at = words
                    arrows.append((begin, end, int(at[0]) if at else None, parts[0] if parts else ""))
                case "text":
                    x, y = map(int, words)
                    texts.append((x, y, parts[0]))
                case _:
                    raise ValueError(f"{kind} is not known")
        except (ValueError, TypeError, IndexError) as error:
            raise ValueError(f"line {number}: {error}") from error
    missing = {name for begin, end, *_ in arrows for name in (begin, end)} - boxes.keys()
    if missing:
        raise ValueError(f"arrows to nothing: {', '.join(sorted(missing))}")
    return "\n".join([
        _head(),
        *(_frame(box) for box in boxes.values() if box.frame),
        *(_arrow(boxes[begin], boxes[end], at, label) for begin, end, at, label in arrows),
        *(_plain(box, icons) for box in boxes.values() if not box.frame),
        *(f'<text x="{x}" y="{y}" class="note">{html.escape(words)}</text>' for x, y, words in texts),
        "</svg>", ""])


def _box(x: int, y: int, width: int, height: int, texts: tuple[str, ...], frame: bool) -> Box:
    if min(x, y) < 0 or x + width > WIDTH or y + height > HEIGHT:
        raise ValueError(f"outside {WIDTH} by {HEIGHT}")
    return Box(x, y, width, height, texts, frame)


def _head() -> str:
    return f'''<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">
<!-- Drawn from architecture.txt by "make package", never edited by hand. -->
<title>Architecture of emite-connect</title>
<style>
text {{ font-family: Arial, Helvetica, sans-serif; fill: #16191f }}
.title {{ font-size: 13px; font-weight: bold }}
.service {{ font-size: 12px; font-weight: bold }}
.role {{ font-size: 11px; fill: #414d5c }}
.label {{ font-size: 11px }}
.note {{ font-size: 12px }}
.frame {{ fill: none; stroke: #8c98a5; stroke-dasharray: 6 4 }}
.box {{ fill: #fff; stroke: #16191f }}
.line {{ fill: none; stroke: #414d5c; stroke-width: 1.4; marker-end: url(#head) }}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 8 4 0 8z" fill="#414d5c"/></marker></defs>
<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'''


def _frame(box: Box) -> str:
    return (f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6" class="frame"/>\n'
            f'<text x="{box.x + 10}" y="{box.y + 18}" class="title">{html.escape(box.texts[0])}</text>')


def _plain(box: Box, icons: Path | None) -> str:
    service, role, icon = (*box.texts, "", "")[:3]
    drawn = [f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="4" class="box"/>']
    if icons and icon:
        data = base64.b64encode(_icon(icons, icon).read_bytes()).decode()
        # On the corner, so that the words have the same room with and without.
        drawn.append(f'<image x="{box.right - _ICON + 4}" y="{box.y - 8}" width="{_ICON}" height="{_ICON}" href="data:image/svg+xml;base64,{data}"/>')
    lines = [("service", service), *(("role", part.strip()) for part in role.split("/") if part.strip())]
    top = box.y + (box.height - 15 * len(lines)) // 2 + 12
    drawn += [f'<text x="{box.x + 10}" y="{top + 15 * index}" class="{style}">{html.escape(words)}</text>'
              for index, (style, words) in enumerate(lines)]
    return "\n".join(drawn)


def _icon(icons: Path, name: str) -> Path:
    """AWS's package has each icon in several sizes, as Arch_NAME_SIZE.svg."""
    found = sorted(icons.rglob(f"Arch_{name}_48.svg"))
    if not found:
        raise ValueError(f"{icons} has no Arch_{name}_48.svg")
    return found[0]


def _arrow(begin: Box, end: Box, at: int | None, label: str) -> str:
    """Straight where the boxes overlap in height or width, otherwise once around the corner."""
    top, bottom = max(begin.y, end.y), min(begin.bottom, end.bottom)
    left, right = max(begin.x, end.x), min(begin.right, end.right)
    if bottom - top >= _OVERLAP:
        y = at or (top + bottom) // 2
        x1, x2 = (begin.right, end.x) if end.x >= begin.right else (begin.x, end.right)
        path, place = f"M{x1} {y}H{x2}", ((x1 + x2) // 2, y - 5, "middle")
    elif right - left >= _OVERLAP:
        x = at or (left + right) // 2
        y1, y2 = (begin.bottom, end.y) if end.y >= begin.bottom else (begin.y, end.bottom)
        path, place = f"M{x} {y1}V{y2}", (x + 6, (y1 + y2) // 2 + 4, "start")
    else:
        x1 = begin.right if end.x >= begin.right else begin.x
        y1, x2 = at or begin.y + begin.height // 2, end.x + end.width // 2
        y2 = end.y if end.y >= begin.bottom else end.bottom
        path, place = f"M{x1} {y1}H{x2}V{y2}", ((x1 + x2) // 2, y1 - 5, "middle")
    drawn = f'<path d="{path}" class="line"/>'
    if label:
        drawn += f'\n<text x="{place[0]}" y="{place[1]}" text-anchor="{place[2]}" class="label">{html.escape(label)}</text>'
    return drawn
