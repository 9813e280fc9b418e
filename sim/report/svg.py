"""A figure of matplotlib as a small SVG that follows the reader's colours: light, dark, on screen and on paper.

Text stays text. Each colour becomes a variable with a second value for dark mode, which a style sheet in the file
chooses: that works inside a page, as an image of a page and alone. A dark value stands out from the dark ground as
much as the light one does from white.
"""

from __future__ import annotations

import colorsys
import io
import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1c2430"
DARK_GROUND = "#181d25"
"""The ground of a picture in dark mode: --card of page.py."""
FAINT = 2.0
CLEAR = 3.0
"""A colour with a contrast below FAINT is a rule of the grid; any other one has at least CLEAR in dark mode."""
FONT = "font-family:system-ui,sans-serif"
_STEPS = 200
_HEAD = re.compile(r"<\?xml.*?\?>\s*|<!DOCTYPE.*?>\s*|<metadata>.*?</metadata>\s*", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_NOTHING = re.compile(r' id="[a-z0-9.]+_\d+"| transform="rotate\(-0 [^"]*"|font-family: [^;"]*;? ?')
_DIGITS = re.compile(r"(\d\.\d\d)\d+")
_COLOUR = re.compile(r"#[0-9a-f]{6}\b(?=[;\"])")


def svg_of(figure: Figure) -> str:
    """Return `figure` as the text of an SVG, the same for the same figure."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "voxpool"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return themed(buffer.getvalue())


def themed(svg: str) -> str:
    """Return what matplotlib wrote, with colours for light and dark, and without what no reader sees."""
    svg = _TAG.sub(lambda tag: _tag(tag[0]), _HEAD.sub("", svg))
    colours = sorted(set(_COLOUR.findall(svg)) - {"#000000"})
    svg = _COLOUR.sub(lambda found: f"var(--{_name(found[0])},{found[0]})", svg)
    svg = re.sub(r">\s+<", "><", svg)
    return svg.replace("</style>", f"{_style({INK, *colours})}</style>", 1)


def _tag(tag: str) -> str:
    """Return a tag with two digits after the point, and without ids that nothing refers to and fonts by name."""
    return re.sub(r"\s+", " ", _DIGITS.sub(r"\1", _NOTHING.sub("", tag)))


def _style(colours: Iterable[str]) -> str:
    light, dark = (
        "".join(f"--{_name(colour)}:{value(colour)};" for colour in sorted(colours)) for value in (str, dark_of)
    )
    return f"svg{{{light}}}@media (prefers-color-scheme:dark){{svg{{{dark}}}}}text{{fill:var(--{_name(INK)});{FONT}}}"


def _name(colour: str) -> str:
    """Return the variable of a colour; black, which matplotlib takes for axes, is ink."""
    return f"c{(INK if colour == '#000000' else colour)[1:]}"


@cache
def dark_of(colour: str) -> str:
    """Return the colour of that hue whose contrast to DARK_GROUND is the one of `colour` to white, or the most."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*_rgb(colour))
    of_light = contrast(colour, "#ffffff")
    wanted = max(of_light, CLEAR) if of_light >= FAINT else of_light
    ground = colorsys.rgb_to_hls(*_rgb(DARK_GROUND))[1]
    for step in range(_STEPS + 1):
        lightness = ground + (1 - ground) * step / _STEPS
        found = "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, lightness, saturation))
        if contrast(found, DARK_GROUND) >= wanted:
            break
    return found


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2 defines it, 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue
