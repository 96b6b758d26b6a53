"""Colors and type of the pages, and SVG figures that follow their light or dark theme."""

import io
import re
from importlib import resources
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from bowen.reporting.html import Markup, element

# Name: light and dark variant. The model colors follow Okabe and Ito (2008) and stay apart for color-blind readers.
COLORS = {
    "paper": ("#fcfbf8", "#14171a"),
    "card": ("#f4f1ea", "#1c2024"),
    "ink": ("#1d2329", "#e9e6df"),
    "muted": ("#5f676f", "#a2a8ad"),
    "rule": ("#dcd8cf", "#343a40"),
    "shade": ("#f6ecd2", "#2c2716"),
    "accent": ("#a8842c", "#d4b565"),
    "model-1": ("#d55e00", "#ff9150"),
    "model-2": ("#0072b2", "#5ab4f0"),
    "model-3": ("#c96fa3", "#f0a6cd"),
    "model-4": ("#009e73", "#35d3a2"),
    "model-5": ("#8a7a00", "#d8c84a"),
    "depth-1": ("#dd9322", "#f6be5c"),
    "depth-2": ("#c8553d", "#ec8263"),
    "depth-3": ("#99456f", "#cf77a8"),
    "depth-4": ("#5d4a93", "#a18fe0"),
    "depth-5": ("#24507f", "#6aa3dd"),
    "water-in": ("#2f6f9f", "#72b4e0"),
    "vapor": ("#2f8f6b", "#5fcfa5"),
    "flow": ("#7a6bb0", "#b3a5ea"),
    "store": ("#a26a3a", "#d9a070"),
    "heat": ("#bf4a45", "#ef827b"),
    # Origins of values are drawn as raster images, whose colors cannot follow the theme.
    "measured": ("#3f7fa6", "#3f7fa6"),
    "filled_good": ("#8fc09a", "#8fc09a"),
    "filled_medium": ("#dcc65e", "#dcc65e"),
    "filled_poor": ("#e0924a", "#e0924a"),
    "reanalysis": ("#9579bf", "#9579bf"),
    "estimated": ("#cf86b0", "#cf86b0"),
    "interpolated": ("#6cc3c6", "#6cc3c6"),
    "mean_diurnal_course": ("#b99877", "#b99877"),
}
DASHES = {"model-1": "-", "model-2": "-", "model-3": (0, (3.5, 1.2))}

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": COLORS["ink"][0],
    "axes.labelcolor": COLORS["muted"][0],
    "axes.edgecolor": COLORS["rule"][0],
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlecolor": COLORS["ink"][0],
    "axes.titlepad": 7,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.xmargin": 0.0,
    "grid.color": COLORS["rule"][0],
    "grid.linewidth": 0.6,
    "xtick.color": COLORS["rule"][0],
    "xtick.labelcolor": COLORS["muted"][0],
    "ytick.color": COLORS["rule"][0],
    "ytick.labelcolor": COLORS["muted"][0],
    "ytick.major.size": 0.0,
    "ytick.minor.size": 0.0,
    "xtick.major.size": 3.0,
    "lines.linewidth": 1.2,
    "lines.solid_joinstyle": "round",
}

# Parts of SVG by matplotlib that a page does not need: metadata, identifiers, fonts, line breaks.
SVG_REDUCTIONS = (
    (r"<metadata>.*?</metadata>", ""),
    (r"<style.*?</style>", ""),
    (r' id="[A-Za-z][A-Za-z0-9.]*_\d+"', ""),
    (r"font-family: [^;\"]*;? ?", ""),
    (r"xlink:href", "href"),
    (r"\s*\n\s*", "\n"),
)


def color(name: str) -> str:
    """Return the light variant of a color, which `render_svg` replaces by a variable of the style sheet."""
    return COLORS[name][0]


def line_style(name: str) -> dict:
    """Return color and dashes of lines in a named color."""
    return {"color": color(name), "linestyle": DASHES.get(name, "-")}


def set_panel_title(axes: Axes, title: str, unit: str = "") -> None:
    """Set the title of a panel, with the unit after it instead of along the axis."""
    axes.set_title(f"{title}  [{unit}]" if unit else title, y=1.0)  # where matplotlib would move it away from insets


def draw_zero_line(axes: Axes) -> None:
    """Draw a line at zero."""
    axes.axhline(0, color=color("muted"), linewidth=0.6)


def annotate_empty(axes: Axes) -> None:
    """Annotate a panel without data."""
    axes.annotate("no measurements", (0.5, 0.5), xycoords="axes fraction", ha="center", color=color("muted"))


def format_hour_axis(axes: Axes) -> None:
    """Format a time axis of one day in hours."""
    axes.set_xlim(0, 24)
    axes.set_xticks([0, 6, 12, 18, 24])


def format_date_axis(axes: Axes, time: pd.DatetimeIndex, max_ticks: int = 14) -> None:
    """Format a time axis with dates that name their month."""
    # With the default minimum of five, some lengths of record have no valid number of ticks.
    locator = AutoDateLocator(minticks=max_ticks // 3, maxticks=max_ticks)
    formats = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, formats=formats, show_offset=False))
    axes.set_xlim(*date2num(time[[0, -1]].to_numpy()))


def make_panels(rows: int, height: float, width_ratios: tuple[float, ...] = (1,)) -> tuple[Figure, np.ndarray]:
    """Make a page-wide figure of stacked panels with the same left edge in all figures.

    Args:
        rows: Number of rows.
        height: Height of a panel without its title. [inch]
        width_ratios: Widths of the columns.

    Returns:
        The figure and its panels, rows by columns.
    """
    width, title, left, ticks = 9.6, 0.34, 0.46, 0.3
    total = rows * (height + title) + ticks
    figure = Figure((width, total))
    panels = figure.subplots(
        rows,
        len(width_ratios),
        sharex="col",
        sharey="row",
        squeeze=False,
        width_ratios=width_ratios,
        gridspec_kw={
            "left": left / width,
            "right": 0.988,
            "top": 1 - title / total,
            "bottom": ticks / total,
            "hspace": title / height,
            "wspace": 0.06,
        },
    )
    return figure, panels


def render_svg(figure: Figure, name: str, alternative: str) -> Markup:
    """Render a figure as inline SVG in the colors of the page.

    Args:
        figure: The figure.
        name: Name that is unique on the page, for unique identifiers.
        alternative: Text alternative for screen readers.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    opening, inside = buffer.getvalue().split("<svg", 1)[1].split(">", 1)
    for pattern, shorter in SVG_REDUCTIONS:
        inside = re.sub(pattern, shorter, inside, flags=re.DOTALL)
    # Two decimals are enough for positions, but not for the scale of an image.
    inside = re.sub(r"<(?!image)[^>]+>", lambda tag: re.sub(r"(?<=\.\d\d)\d+", "", tag.group()), inside)
    for variable, (light, _) in COLORS.items():
        inside = inside.replace(light, f"var(--{variable})")
    box = opening.split('viewBox="', 1)[1].split('"', 1)[0]
    return element("svg", Markup(inside.removesuffix("</svg>\n")), viewBox=box, role="img", aria_label=alternative)


def style_sheet() -> Markup:
    """Return the style element with the colors of both themes."""
    light, dark = ("".join(f"--{name}:{pair[shade]};" for name, pair in COLORS.items()) for shade in (0, 1))
    rules = resources.files("bowen.reporting").joinpath("page.css").read_text(encoding="utf-8")
    return Markup(
        f"<style>:root{{color-scheme:light dark;{light}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{rules}</style>"
    )
