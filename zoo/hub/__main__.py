"""`python -m zoo.hub`: find, download, verify and publish pretrained models."""

import argparse
from collections.abc import Sequence

from zoo import cli


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(prog="python -m zoo.hub", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listed = commands.add_parser("list", help="names, versions, sizes, licences and scores")
    search = commands.add_parser("search", help="the models whose name, text or config has words")
    search.add_argument("words", nargs="+")
    for command in (listed, search):
        command.add_argument("--dataset", default="", help="part of the name of a data set")
        command.add_argument("--model", default="", help="part of a family, class or objective")
        command.add_argument("--sort", default="", metavar="SCORE", help="best first, as mig")
    show = commands.add_parser("show", help="the card of a model")
    get = commands.add_parser("download", help="download a model and print its directory")
    for command in (show, get):
        command.add_argument("name")
        command.add_argument("version", nargs="?", help="the newest by default")
    for command in (listed, search, show, get):
        command.add_argument("--hub", help="the address of the only hub that is asked")
    check = commands.add_parser("verify", help="check an exported model against its card")
    check.add_argument("directory")
    add = commands.add_parser("publish", help="add a run's model, or an exported one, to a hub")
    add.add_argument("run", help="the folder of a finished run, or of an exported model")
    add.add_argument("--to", required=True, help="a folder, or hf://owner/repo")
    add.add_argument("--name", help="as beta_vae/dsprites (default: the run's train.name)")
    add.add_argument("--version", help="as 1.0.0 (default: the next)")
    add.add_argument("--licence", help="of the weights, an SPDX identifier")
    add.add_argument("--description", help="one line")
    add.add_argument("--training_command", help="the command that trained it")
    add.add_argument("--dry_run", action="store_true", help="say what would be published")
    return parser.parse_args(argv)


@cli.command(_parse)
def main(chosen: argparse.Namespace) -> None:
    """Runs one subcommand."""
    _COMMANDS[chosen.command](chosen)


def _list(chosen: argparse.Namespace) -> None:
    from zoo.hub import listing, registry

    words = " ".join(getattr(chosen, "words", ()))
    entries = registry.entries(chosen.hub)
    found = listing.chosen(entries, chosen.dataset, chosen.model, chosen.sort, words)
    if not found:
        raise registry.UnknownModel(f"none of the {len(entries)} models fits; see zoo.hub list")
    print("\n".join(listing.lines(found, chosen.sort)))


def _show(chosen: argparse.Namespace) -> None:
    import rich.console
    import rich.markdown

    from zoo.hub import model_card, registry

    entry = registry.find(chosen.name, chosen.version, chosen.hub)
    text = model_card.body(entry.facts, chosen.hub or "")
    rich.console.Console().print(rich.markdown.Markdown(text))


def _download(chosen: argparse.Namespace) -> None:
    from zoo.hub import download

    print(download.fetch(chosen.name, chosen.version, chosen.hub))


def _verify(chosen: argparse.Namespace) -> None:
    from zoo.hub import package

    card = package.verify(chosen.directory)
    print(f"{chosen.directory}: {len(card['files'])} files as recorded")


def _publish(chosen: argparse.Namespace) -> None:
    from zoo.hub import model_card, publish

    entry = publish.publish(
        chosen.run,
        chosen.to,
        name=chosen.name,
        version=chosen.version,
        licence=chosen.licence,
        description=chosen.description,
        command=chosen.training_command,
        dry_run=print if chosen.dry_run else None,
    )
    if own := model_card.own_modules(entry.facts):
        print(
            f"the config imports modules that are not published: {', '.join(own)}; say in "
            "--description where they are"
        )
    if chosen.dry_run:
        print("nothing was published")
        return
    print(f"published {entry.folder}: {len(entry.files)} files, {entry.size} bytes")
    print(f"load it: zoo.load({entry.name!r}, {entry.version!r}, hub={chosen.to!r})")


_COMMANDS = {
    "list": _list,
    "search": _list,
    "show": _show,
    "download": _download,
    "verify": _verify,
    "publish": _publish,
}


if __name__ == "__main__":
    cli.run(main)
