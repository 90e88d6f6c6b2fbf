"""Links of the repository's Markdown, as the site needs them.

The pages are made of texts that stand beside what they describe (`data/zoo_balls/README.md`), whose
links lead to files of the repository. On the site they lead to the page made of that file.
"""

import pathlib
import posixpath
import re
from collections.abc import Callable, Mapping

_FENCED = re.compile(r"(^```.*?^```[^\n]*$)", re.M | re.S)
_LINK = re.compile(r"(!?)\[((?:[^\]\[]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"(?<![`\[\w])`([\w./]+)`(?![`\]])")


class DeadLinkError(ValueError):
    """A text of the repository links to a file that does not exist."""


def relinked(text: str, source: str, page: str, places: Mapping[str, str], root) -> str:
    """A text of the repository with the links of its page on the site.

    Args:
        text: Markdown.
        source: its file, relative to the repository; links are relative to it, but for those that
            begin with `site:`, which lead to a place on the site.
        page: where it stands on the site, for example `data/zoo_balls.md`.
        places: where files of the repository stand on the site, and headings of them that stand
            elsewhere (`README.md#score`). A link to any other file becomes plain text.
        root: the folder of the repository.

    Raises:
        DeadLinkError: a link leads to a file that does not exist.
    """

    def replaced(match: re.Match) -> str:
        picture, label, target = match.groups()
        if target.startswith("site:"):
            return f"{picture}[{label}]({relative(page, target.removeprefix('site:'))})"
        if re.match(r"[a-z]+:", target):
            return match[0]
        path, _, anchor = target.partition("#")
        there = posixpath.join(posixpath.dirname(source), path) if path else source
        file = posixpath.normpath(there)
        if heading := places.get(f"{file}#{anchor}"):
            return f"[{label}]({relative(page, heading)})"
        if not path:
            return match[0]
        if not (pathlib.Path(root) / file).exists():
            raise DeadLinkError(f"{source} links to {target}, which does not exist")
        if file not in places:
            return label
        there = relative(page, places[file]) + (f"#{anchor}" if anchor else "")
        return f"{picture}[{label}]({there})"

    return _outside_code(text, lambda prose: _LINK.sub(replaced, prose))


def named(text: str, page: str, names: Mapping[str, str]) -> str:
    """A text in which the names in backticks lead to their pages, the headings' excepted.

    Args:
        text: Markdown.
        page: where it stands on the site.
        names: where each name leads on the site: `scores/mig.md`, or `reference/data.md#anchor`.
    """

    def replaced(match: re.Match) -> str:
        place = names.get(match[1])
        if place is None or place.partition("#")[0] == page:
            return match[0]
        return f"[{match[0]}]({relative(page, place)})"

    def line_by_line(prose: str) -> str:
        lines = prose.split("\n")
        # A link inside the text of a link is none.
        return "\n".join(
            line
            if line.startswith("#")
            else "".join(
                part if _LINK.fullmatch(part) else _CODE.sub(replaced, part)
                for part in re.split(r"(!?\[(?:[^\]\[]|\[[^\]]*\])*\]\([^)\s]+\))", line)
            )
            for line in lines
        )

    return _outside_code(text, line_by_line)


def relative(page: str, place: str) -> str:
    """The link from one page of the site to another, `place` with or without an anchor."""
    path, mark, anchor = place.partition("#")
    return posixpath.relpath(path, posixpath.dirname(page) or ".") + mark + anchor


def plain_pipes(text: str) -> str:
    r"""A text in whose tables code has its pipes as they are.

    GitHub needs `\|` there; Python-Markdown would show the backslash.
    """

    def line_by_line(prose: str) -> str:
        return "\n".join(
            re.sub(r"`[^`]+`", lambda code: code[0].replace(r"\|", "|"), line)
            if line.startswith("|")
            else line
            for line in prose.split("\n")
        )

    return _outside_code(text, line_by_line)


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    parts = _FENCED.split(text)
    return "".join(p if p.startswith("```") else change(p) for p in parts)
