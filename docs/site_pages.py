"""The pages of the site: from the registries, the docstrings, and the texts beside the code.

`site()` returns all pages, their files and the navigation. It needs neither MkDocs nor TensorFlow;
`site_hook.py` hands them to MkDocs. Nothing is copied by hand: a score, data set, model or paper
that is added has its page with the next build.
"""

import ast
import contextlib
import dataclasses
import importlib
import io
import json
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import site_links

from zoo.__main__ import COMMANDS
from zoo.data import catalog, tfds_wrapped
from zoo.evaluation import citations, facts, index
from zoo.hub import registry
from zoo.papers import catalog as papers

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Sections of the README that are pages of the guide; the first screen is the home page.
GUIDE = (
    "Terms",
    "Install",
    "Train",
    "Score",
    "Reproduce",
    "Your own parts",
    "Pretrained models",
    "Citing, licence",
)
# Texts that are pages as they are, if the repository has them.
ABOUT = {
    "docs/mission.md": "mission.md",
    "docs/reliability.md": "reliability.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
# The config of a family whose images its page shows, where it is not the first.
SHEETS = {"zoo_sprites": "small"}
# Packages whose modules are documented on one page each, with what is left out.
REFERENCE = {
    "zoo": ("fitting", "loading", "errors", "runs", "config", "machine"),
    "zoo.hub": None,
    "zoo.data": None,
    "zoo.evaluation": None,
    "zoo.networks": None,
    "zoo.optim": None,
    "zoo.training": None,
    "zoo.papers": ("spec", "claims", "results", "catalog"),
}


@dataclasses.dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        place: on the site, for example `scores/mig.md`.
        text: Markdown.
        source: the file of the repository that the text's links are relative to.
    """

    place: str
    text: str
    source: str = "README.md"


@dataclasses.dataclass(frozen=True)
class Site:
    """Everything that MkDocs is given.

    Attributes:
        pages: by their place, links ready for it.
        files: place on the site -> picture or explorer; files of the repository are relative to it.
        nav: as in `mkdocs.yml`.
    """

    pages: Mapping[str, str]
    files: Mapping[str, str | pathlib.Path]
    nav: Sequence[Any]


def site(explorers: Mapping[str, pathlib.Path] | None = None) -> Site:
    """All pages.

    Args:
        explorers: the page in which a pretrained model runs, by the name of the model.

    Raises:
        site_links.DeadLinkError: a text links to nothing.
    """
    explorers = explorers or {}
    parts = {
        "Guide": list(_guide()),
        "Papers": list(_papers()),
        "Data sets": list(_data_sets()),
        "Models": list(_models()),
        "Scores": list(_scores()),
        "Hub": list(_hub(explorers)),
        "Tutorials": list(_tutorials()),
        "Reference": [*_reference(), _commands(), *_gin_files()],
        "About": list(_about()),
    }
    home = [_home(), _questions()]
    pages = [*home, *(page for part in parts.values() for page in part)]
    pictures = _pictures()
    places = {file: place for place, file in pictures.items()}
    places |= {page.source: page.place for page in pages if page.source != "README.md"}
    places |= _headings()
    places |= {"README.md": "index.md", "data": "data/index.md", "evaluation": "scores/index.md"}
    names = _names(pages)
    made = {}
    for page in pages:
        text = site_links.relinked(page.text, page.source, page.place, places, ROOT)
        text = site_links.named(text, page.place, names)
        made[page.place] = site_links.plain_pipes(text)
    nav: list[Any] = [{"Start": "index.md"}, {"Questions": "questions.md"}]
    nav += [{part: [_entry(page) for page in pages]} for part, pages in parts.items() if pages]
    embedded = {_explorer_place(name): path for name, path in explorers.items()}
    return Site(made, {**pictures, **embedded}, nav)


def _entry(page: Page) -> Any:
    """In the navigation a page has its title, a module's its last name."""
    title = _title(page.text)
    short = title.removeprefix("zoo.models.").removeprefix("Settings: ").strip("`")
    return page.place if short == title else {short: page.place}


# Home, guide


def _sections(text: str) -> dict[str, str]:
    """The text under each second-level heading, `""` being what stands before the first."""
    parts = re.split(r"^## (.+)\n", text, flags=re.M)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def _read(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def _promoted(text: str) -> str:
    """A section as a page of its own: headings one level higher."""
    return _levels(text, -1)


def _levels(text: str, by: int) -> str:
    def moved(match: re.Match) -> str:
        return "#" * (len(match[1]) + by) + " "

    parts = re.split(r"(^```.*?^```)", text, flags=re.M | re.S)
    return "".join(
        part if part.startswith("```") else re.sub(r"^(#+) ", moved, part, flags=re.M)
        for part in parts
    )


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")


def _home() -> Page:
    return Page("index.md", _sections(_read("README.md"))[""])


def _guide() -> Iterator[Page]:
    sections = _sections(_read("README.md"))
    for title in GUIDE:
        yield Page(f"guide/{_slug(title)}.md", f"# {title}\n\n{_promoted(sections[title])}")
    if (ROOT / "docs/explorer.md").exists():
        yield Page("guide/explorer.md", _read("docs/explorer.md"), "docs/explorer.md")


def _headings() -> dict[str, str]:
    """Where the headings of the README stand that the guide has: `README.md#score` -> its page."""
    found = {}
    for title, text in _sections(_read("README.md")).items():
        if title in GUIDE:
            page = f"guide/{_slug(title)}.md"
            found[f"README.md#{_anchor(title)}"] = page
            below = [_anchor(heading) for heading in re.findall(r"^###+ (.+)", text, re.M)]
            found |= {f"README.md#{anchor}": f"{page}#{anchor}" for anchor in below}
    return found


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


# Papers


def _works() -> list[str]:
    return [module.split(".")[2] for module in papers.PAPERS]


def _title(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")


def _questions() -> Page:
    """What each work asks, from the pages of the works, and how its claims fare here."""
    lines = ["# Which work answers which question", ""]
    verdicts = _verdicts()
    for work in _works():
        text = _read(f"zoo/papers/{work}/README.md")
        rows = [row[1].strip("* ") for row in verdicts.get(work, ())]
        # Those that were not run come last.
        verdicts_here = sorted(dict.fromkeys(rows), key=lambda verdict: verdict == "not run")
        counts = [f"{rows.count(verdict)} {verdict}" for verdict in verdicts_here]
        fare = f"Its headline claims here: {', '.join(counts)}." if rows else "No claim was tested."
        lines += [
            f"## {_title(text)}",
            "",
            _sections(text)["The question"].strip(),
            "",
            f"{fare} [Equations, settings, tables, figures](zoo/papers/{work}/README.md)",
            "",
        ]
    lines += ["[How claims are tested over seeds, and all of them](RESULTS.md)"]
    return Page("questions.md", "\n".join(lines))


def _verdicts() -> dict[str, list[tuple[str, ...]]]:
    """By work, the rows of the headline claims: claim, verdict, p, seeds, budget."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for line in _sections(_read("RESULTS.md"))["Headline claims"].splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if line.startswith("| ") and cells[0] in _works():
            found.setdefault(cells[0], []).append(tuple(cells[1:6]))
    return found


def _papers() -> Iterator[Page]:
    verdicts = _verdicts()
    for work in _works():
        file = f"zoo/papers/{work}/README.md"
        text = _read(file)
        if work in verdicts:
            text += (
                "\n## Claims and verdicts\n\n"
                "| claim | verdict | p (corrected) | seeds a side | budget |\n"
                "| --- | --- | --- | --- | --- |\n"
            )
            text += "".join(f"| {' | '.join(row)} |\n" for row in verdicts[work])
        results = f"results/{work}.md"
        if (ROOT / results).exists():
            ours = _levels(_read(results).partition("\n")[2], 1)
            text += f"\n## Our tables and figures\n\n{_moved(ours, results, file)}"
        yield Page(f"papers/{work}.md", text, file)
    yield Page("papers/results.md", _read("RESULTS.md"), "RESULTS.md")


def _moved(text: str, old: str, new: str) -> str:
    """A text whose relative links are those of another file."""
    up = "../" * new.count("/")
    folder = old.rpartition("/")[0]
    return re.sub(r"\]\((?!https?:|#)([^)]+)\)", rf"]({up}{folder}/\1)", text)


# Data sets


def _data_sets() -> Iterator[Page]:
    yield Page("data/index.md", _read("data/README.md"), "data/README.md")
    for family, module in catalog.FAMILIES.items():
        if not module.startswith("zoo.data."):
            continue  # registered from outside
        file = f"data/{family}/README.md"
        text = _read(file)
        if not text.startswith("# "):
            text = f"# {family}\n\n{text}"
        sheet = f"docs/sheets/{family}.png"
        if (ROOT / sheet).exists():
            title, _, rest = text.partition("\n")
            name = shown(family)
            picture = f"![Images of {name}](../../{sheet})"
            text = f"{title}\n\n{picture}\n\n`python -m zoo.data.preview {name}`\n{rest}"
        configs = importlib.import_module(module).CONFIGS
        yield Page(
            f"data/{family}.md", f"{text}\n\n## Configs\n\n{_configs(family, configs)}", file
        )
    configs = tfds_wrapped.CONFIGS
    about = "Read through `tensorflow_datasets` under its own names; [how](data/README.md)."
    yield Page("data/tfds.md", f"# Data sets of TFDS\n\n{about}\n\n{_configs('', configs)}")


def shown(family: str) -> str:
    """The data set whose images stand for a family."""
    configs = importlib.import_module(catalog.FAMILIES[family]).CONFIGS
    return f"{family}/{SHEETS.get(family) or next(iter(configs))}"


def _configs(family: str, configs: Mapping[str, str]) -> str:
    rows = [(f"`{family}/{name}`".replace("`/", "`"), about) for name, about in configs.items()]
    return _table(("name", "what"), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(c).replace('|', '&#124;') for c in r)} |" for r in lines)


# Models


def _documented(name: str) -> list[str]:
    """The documentation of a module or function whose name is the page's title already."""
    return [f"::: {name}", "    options:", "      show_root_heading: false", ""]


def _docstring(module: str) -> str:
    return ast.get_docstring(ast.parse(_file(module).read_text(encoding="utf-8"))) or ""


def _file(module: str) -> pathlib.Path:
    """The file of a module, not through the links in `zoo`."""
    parts = module.split(".")
    if parts[:2] in (["zoo", "data"], ["zoo", "evaluation"]):
        parts = parts[1:]
    path = ROOT.joinpath(*parts)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _configurables(module: str) -> list[str]:
    """The names that gin files have for what a module defines."""
    body = ast.parse(_file(module).read_text(encoding="utf-8")).body
    return [
        node.name
        for node in body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef))
        and any("gin." in ast.unparse(decorator) for decorator in node.decorator_list)
    ]


def _modules(package: str) -> list[str]:
    """The modules of a package that are documented and public, by name."""
    folder = _file(package).parent
    stems = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    return [f"{package}.{stem}" for stem in stems]


def _models() -> Iterator[Page]:
    settings = {path: path.read_text() for path in sorted((ROOT / "gin").rglob("*.gin"))}
    hub = {name: str(registry.find(name).facts.get("config")) for name in registry.names()}
    rows, pages = [], []
    for module in _modules("zoo.models"):
        names = _configurables(module)
        stem = module.rpartition(".")[2]
        if not names:
            continue
        pattern = re.compile(rf"(@|^)({'|'.join(names)})\b", re.M)
        files = [str(p.relative_to(ROOT)) for p, text in settings.items() if pattern.search(text)]
        trained = [name for name, text in hub.items() if pattern.search(text)]
        about = _docstring(module).partition("\n")[0].removesuffix(".")
        lines = [f"# {module}", ""]
        lines += [f"- **In gin files:** {', '.join(f'`{n}`' for n in names)}"]
        if trained:
            lines += [f"- **Pretrained:** {', '.join(f'`{name}`' for name in trained)}"]
        lines += ["", *_documented(module)]
        if files:
            lines += ["## Settings", "", *(f"- `{file}`" for file in files)]
        pages.append(Page(f"models/{stem}.md", "\n".join(lines)))
        rows.append((f"[{about}](site:models/{stem}.md)", ", ".join(f"`{n}`" for n in names)))
    text = "# Models\n\nEach family is a file in `zoo/models`; gin files combine the parts.\n\n"
    yield Page("models/index.md", text + _table(("family", "names in gin files"), rows))
    yield from pages


# Scores


def _scores() -> Iterator[Page]:
    yield Page("scores/index.md", _read("evaluation/README.md"), "evaluation/README.md")
    for name in index.MODULE_OF_SCORE:
        known = facts.of(name)
        low, high = (f"{end:g}".replace("inf", "∞") for end in known.range)
        better = {True: "higher is better", False: "lower is better", None: "neither end is better"}
        chance = (
            "depends on the data; `--chance` measures it"
            if known.chance is None
            else f"{known.chance:g}"
        )
        module = f"zoo.evaluation.{index.MODULE_OF_SCORE[name]}"
        rows = {
            "Needs": ", ".join(f"`{need}`" for need in known.needs),
            "Range": f"{low} to {high}; {better[known.higher_is_better]}",
            "Value by chance": chance,
            "Suites": ", ".join(known.suites) or "none: name it in `--metrics`, or call it",
            "Interval by `--bootstrap`": f"no: {known.no_interval}" if known.no_interval else "yes",
            "Source": citations.link(known.source),
        }
        lines = [f"# {name}", "", *(f"- **{key}:** {value}" for key, value in rows.items())]
        lines += ["", "[Needs, suites, chance and intervals explained](evaluation/README.md)", ""]
        text = "\n".join([*lines, *_documented(f"{module}.{name}")])
        yield Page(f"scores/{name}.md", text)


# Hub


def _hub(explorers: Mapping[str, pathlib.Path]) -> Iterator[Page]:
    lines = [
        "# Pretrained models",
        "",
        '`zoo.load("beta_vae/dsprites")` loads a model by its name, after its files were checked '
        "against their sha256. A model that draws images runs on its page, in an "
        "[explorer](docs/explorer.md). [Finding, downloading and publishing models](docs/hub.md)",
    ]
    pages = []
    for name in registry.names():
        entry = registry.find(name)
        place = f"hub/{name.replace('/', '_')}.md"
        # After a semicolon the description says how a version differs from the one before.
        about, shown = entry.description.partition("; as ")[0], _traversals(name)
        parts = f"{'Explorer, scores' if name in explorers else 'Scores'}, files and settings"
        lines += ["", f"## [{name}](site:{place})", "", f"{about}. Licence: {entry.licence}.", ""]
        lines += [*shown, f"[{parts}](site:{place})"]
        pages.append(Page(place, _card(name, explorers.get(name))))
    yield Page("hub/index.md", "\n".join(lines))
    if (ROOT / "docs/hub.md").exists():
        yield Page("hub/publishing.md", _read("docs/hub.md"), "docs/hub.md")
    yield from pages


def _explorer_place(name: str) -> str:
    return f"explorers/{name.replace('/', '_')}.html"


def _explorer(name: str, page: pathlib.Path) -> list[str]:
    """The model itself on its page, and beside it for narrow screens."""
    size = f"{page.stat().st_size / 1e6:.1f} MB"
    # Pages are folders on the site.
    address = f"../../{_explorer_place(name)}"
    return [
        "## Explorer",
        "",
        f'<a href="{address}">The explorer on a page of its own</a> ({size}, computes in your '
        "browser), [how it works](docs/explorer.md).",
        "",
        f'<iframe class="explorer" src="{address}" title="Explorer of {name}" loading="lazy">'
        "</iframe>",
        "",
    ]


def _traversals(name: str) -> list[str]:
    """The picture of a pretrained model, if it has one."""
    picture = f"docs/sheets/{name.replace('/', '_')}.png"
    if not (ROOT / picture).exists():
        return []
    if name.startswith("slots_"):
        return [f"![Images, reconstructions by {name}, and the part of each slot]({picture})", ""]
    return [f"![Traversals of {name}: each row varies one latent]({picture})", ""]


def _card(name: str, explorer: pathlib.Path | None) -> str:
    entry = registry.find(name)
    lines = [f"# {name}", "", f"{entry.description}.", ""]
    lines += _traversals(name)
    if not name.startswith("perturbations/"):
        lines += ["```python", "import zoo", "", f'model = zoo.load("{name}")', "```", ""]
    rows = {
        "Version": f"{entry.version} (all: {', '.join(registry.versions(name))})",
        "Size": f"{entry.size / 1e6:.1f} MB in {len(entry.files)} files",
        "Licence of the weights": entry.licence,
        "Trained by": f"`{entry.facts.get('command', '')}`",
    }
    lines += [*(f"- **{key}:** {value}" for key, value in rows.items()), ""]
    if explorer:
        lines += _explorer(name, explorer)
    if entry.facts.get("scores"):
        scores = [(f"`{score}`", f"{value:.4g}") for score, value in entry.facts["scores"].items()]
        lines += ["## Scores", "", "Of this one run.", "", _table(("score", "value"), scores), ""]
    files = [(f"`{p}`", f["size"], f"`{f['sha256'][:16]}…`") for p, f in entry.files.items()]
    lines += ["## Files", "", _table(("file", "bytes", "sha256 begins"), files), ""]
    lines += ["## Config", "", "```python", str(entry.facts.get("config") or "").strip(), "```", ""]
    return "\n".join(lines)


# Tutorials


def _tutorials() -> Iterator[Page]:
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n\n".join(part for cell in cells for part in _cell(cell, path.stem))
        yield Page(f"tutorials/{path.stem}.md", text, f"examples/{path.name}")


def _cell(cell: Mapping[str, Any], notebook: str) -> Iterator[str]:
    """A cell of a notebook in Markdown; its pictures are written by `site_hook.py`."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            yield f"<img alt='what the cell draws' src='data:image/png;base64,{_png(data)}'>"
        elif "text/plain" in data:
            yield _output("".join(data["text/plain"]))
        elif output.get("name") == "stdout":
            yield _output("".join(output["text"]))


def _output(text: str) -> str:
    return f"``` {{ .text .output }}\n{text.rstrip()}\n```"


def _png(data: Mapping[str, Any]) -> str:
    return "".join(data["image/png"]).replace("\n", "")


# Reference


def _reference() -> Iterator[Page]:
    for package, stems in REFERENCE.items():
        lines = [f"# {package}", "", _docstring(package).partition("\n")[0], ""]
        if package == "zoo.evaluation":
            # Scores have pages of their own.
            others = {n: m for n, m in index.MODULE_OF.items() if n not in index.MODULE_OF_SCORE}
            lines += [f"::: zoo.evaluation.{module}.{name}\n" for name, module in others.items()]
            lines += ["::: zoo.evaluation.facts\n", "::: zoo.evaluation.inputs\n"]
        else:
            named = [f"{package}.{stem}" for stem in stems] if stems else _modules(package)
            lines += [f"::: {module}\n" for module in named]
        yield Page(f"reference/{_slug(package)}.md", "\n".join(lines))


def _commands() -> Page:
    """What every command says of itself."""
    same = "`zoo train` and `python -m zoo.train` are the same command, and so on for all of them."
    lines = ["# Commands", "", same, ""]
    for name, (module, about) in COMMANDS.items():
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            importlib.import_module(module).main.parse(["--help"])
        about = f"{about[0].upper()}{about[1:]}."
        lines += [f"## zoo {name}", "", about, "", "```text", said.getvalue().rstrip(), "```", ""]
    return Page("reference/commands.md", "\n".join(lines))


def _gin_files() -> Iterator[Page]:
    folders = {path.parent for path in (ROOT / "gin").rglob("*.gin")}
    for folder in sorted(folders):
        relative = folder.relative_to(ROOT)
        lines = [f"# Settings: `{relative}`", ""]
        for path in sorted(folder.glob("*.gin")):
            lines += [f"## {path.stem}", "", "```python", path.read_text().rstrip(), "```", ""]
        yield Page(f"reference/{_slug(str(relative))}.md", "\n".join(lines))


# About


def _about() -> Iterator[Page]:
    for file, place in ABOUT.items():
        if (ROOT / file).exists():
            yield Page(place, _read(file), file)


def _pictures() -> dict[str, str]:
    """Place on the site -> file, of every picture that texts show."""
    folders = ("results/figures", "docs", "docs/sheets")
    files = [path for folder in folders for path in sorted((ROOT / folder).glob("*.png"))]
    return {f"pictures/{path.name}": str(path.relative_to(ROOT)) for path in files}


# Names


def _names(pages: Sequence[Page]) -> dict[str, str]:
    """Where the names lead that texts have in backticks."""
    names = {}
    for name, module in index.MODULE_OF_SCORE.items():
        place = f"scores/{name}.md"
        names |= dict.fromkeys((name, f"zoo.evaluation.{name}"), place)
        names[f"zoo.evaluation.{module}.{name}"] = place
    for page in pages:
        for module in re.findall(r"^::: (zoo\.[\w.]+)", page.text, re.M):
            # The page whose title it is has no second heading for it.
            anchor = "" if _title(page.text) == module else f"#{module}"
            names.setdefault(module, page.place + anchor)
    for path in (ROOT / "gin").rglob("*.gin"):
        file = path.relative_to(ROOT)
        names[str(file)] = f"reference/{_slug(str(file.parent))}.md#{path.stem}"
    for family, module in catalog.FAMILIES.items():
        place = f"data/{family}.md"
        configs = importlib.import_module(module).CONFIGS
        names |= dict.fromkeys((family, *(f"{family}/{config}" for config in configs)), place)
    names |= {name: f"hub/{name.replace('/', '_')}.md" for name in registry.names()}
    names |= {page.source: page.place for page in pages if page.source != "README.md"}
    return names
