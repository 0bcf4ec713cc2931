"""Pages of one file: pictures are within, and nothing is fetched from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid #8886; padding: .25rem .75rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; height: auto; }
figure { margin: 0; }
figcaption { font-size: .85rem; padding: .25rem 0 1rem; overflow-wrap: anywhere; }
.sheet { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
.key { display: inline-block; width: 1.5rem; height: .2rem; margin: 0 .4rem .25rem 0; }
.remarks { font-size: .85rem; }
"""


def page(title: str, body: Iterable[str]) -> str:
    """A whole page; `body` are elements, already escaped."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def heading(text: str) -> str:
    """A heading below the title."""
    return f"<h2>{escape(text)}</h2>"


def subheading(text: str) -> str:
    """A heading below a heading."""
    return f"<h3>{escape(text)}</h3>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the first column is of words, the others of figures."""
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in header)
    lines = ("".join(f"<td>{escape(each)}</td>" for each in row) for row in rows)
    return (
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>"
        + "\n".join(f"<tr>{line}</tr>" for line in lines)
        + "</tbody></table>"
    )


def figure(png: bytes, words: str, caption: str = "") -> str:
    """A picture with a text for those who do not see it, and a caption."""
    source = b64encode(png).decode("ascii")
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><img alt="{escape(words)}" src="data:image/png;base64,{source}">{below}</figure>'
    )


def sheet(figures: Iterable[str]) -> str:
    """Figures side by side."""
    return f'<div class="sheet">{"".join(figures)}</div>'


def remarks(sentences: Iterable[str]) -> str:
    """A list of sentences; nothing where there are none."""
    listed = "".join(f"<li>{escape(each)}</li>" for each in sentences)
    return f'<ul class="remarks">{listed}</ul>' if listed else ""


def key(colour: tuple[int, int, int], meaning: str) -> str:
    """What a colour means."""
    red, green, blue = colour
    swatch = f'<span class="key" style="background: rgb({red} {green} {blue})"></span>'
    return f"{swatch}{escape(meaning)} "
