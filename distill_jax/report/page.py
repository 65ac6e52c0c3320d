"""A page that needs nothing but the folder it lies in: no scripts, no network."""

import os
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
p { max-width: 48rem; }
img { max-width: 100%; height: auto; }
audio { width: 15rem; max-width: 100%; display: block; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .35rem .8rem; text-align: left; border-bottom: 1px solid #ddd; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; } figcaption { color: #555; max-width: 48rem; }
"""


class Section(NamedTuple):
    """A part of a page.

    Attributes:
      heading: "" for none.
      parts: text (a paragraph each), `Table`, `Image`, `Audio` and `Link`.
    """

    heading: str
    parts: list


class Table(NamedTuple):
    """A table; its cells are text, numbers, `Image`, `Audio` or `Link`.

    Attributes:
      header: the name of each column.
      rows: lists of cells.
    """

    header: list
    rows: list


class Image(NamedTuple):
    """A picture.

    Attributes:
      path: of the file, absolute or relative to the page.
      caption: what it shows and how to read it.
    """

    path: Any
    caption: str = ""


class Audio(NamedTuple):
    """A player.

    Attributes:
      path: of the file, absolute or relative to the page.
      caption: what is heard.
    """

    path: Any
    caption: str = ""


class Link(NamedTuple):
    """A link to another page or file.

    Attributes:
      path: of the file, absolute or relative to the page.
      text: what is clicked on.
    """

    path: Any
    text: str


def page(path, title, sections):
    """Writes an HTML page with relative links, which can be moved with its folder.

    Args:
      path: the file.
      title: its heading.
      sections: a list of `Section`.

    Raises:
      FileNotFoundError: names the pictures, sounds and files that are not there.
      TypeError: a part is none of those that `Section` lists.
    """
    folder = Path(path).resolve().parent
    _check_links(folder, sections)
    body = "".join(_section(section, folder) for section in sections)
    Path(path).write_text(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{body}</body>\n</html>\n",
        encoding="utf-8",
    )


def _check_links(folder, sections):
    parts = [part for section in sections for part in section.parts]
    cells = [
        cell
        for part in parts
        if isinstance(part, Table)
        for row in part.rows
        for cell in row
    ]
    linked = [
        part.path for part in parts + cells if isinstance(part, Image | Audio | Link)
    ]
    missing = [str(path) for path in linked if not (folder / path).is_file()]
    if missing:
        raise FileNotFoundError(
            f"the page in {folder} shows files that are not there: "
            f"{', '.join(missing)}; write them first"
        )


def _section(section, folder):
    heading = f"<h2>{escape(section.heading)}</h2>\n" if section.heading else ""
    return heading + "".join(_part(part, folder) for part in section.parts)


def _part(part, folder):
    if isinstance(part, str):
        return f"<p>{escape(part)}</p>\n"
    if isinstance(part, Table):
        return _table(part, folder)
    if isinstance(part, Link):
        return f"<p>{_medium(part, folder)}</p>\n"
    if isinstance(part, Image | Audio):
        caption = escape(part.caption)
        below = f"<figcaption>{caption}</figcaption>" if caption else ""
        return f"<figure>{_medium(part, folder)}{below}</figure>\n"
    raise TypeError(
        f"a page cannot show {part!r}; expected text, Table, Image, Audio or Link"
    )


def _medium(part, folder):
    link = escape(quote(Path(os.path.relpath(folder / part.path, folder)).as_posix()))
    if isinstance(part, Link):
        return f'<a href="{link}">{escape(part.text)}</a>'
    if isinstance(part, Image):
        return f'<img src="{link}" alt="{escape(part.caption)}">'
    return f'<audio controls preload="none" src="{link}"></audio>'


def _table(table, folder):
    header = "".join(f"<th>{escape(str(name))}</th>" for name in table.header)
    rows = "".join(
        f"<tr>{''.join(_cell(cell, folder) for cell in row)}</tr>\n"
        for row in table.rows
    )
    return f"<table>\n<tr>{header}</tr>\n{rows}</table>\n"


def _cell(cell, folder):
    if isinstance(cell, Image | Audio | Link):
        return f"<td>{_medium(cell, folder)}</td>"
    if isinstance(cell, str):
        return f"<td>{escape(cell)}</td>"
    shown = f"{cell:,}" if isinstance(cell, int) else f"{cell:.3g}"
    return f'<td class="number">{shown}</td>'
