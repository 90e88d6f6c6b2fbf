"""`python -m zoo.hub`: list, fetch, verify and register pretrained models."""

import argparse
from collections.abc import Sequence

from zoo import cli
from zoo.hub import download, package, registry


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(prog="python -m zoo.hub", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="names, versions, sizes and licences")
    get = commands.add_parser("fetch", help="download a model and print its directory")
    get.add_argument("name")
    get.add_argument("version", nargs="?")
    check = commands.add_parser("verify", help="check an exported model against its card")
    check.add_argument("directory")
    add = commands.add_parser("register", help="add an exported model to registry and store")
    add.add_argument("directory")
    add.add_argument("name")
    add.add_argument("version")
    add.add_argument("--licence", help="of the weights, an SPDX identifier")
    add.add_argument("--description", help="one line")
    add.add_argument("--training_command", help="the command that trained it")
    return parser.parse_args(argv)


@cli.command(_parse)
def main(chosen: argparse.Namespace) -> None:
    """Runs one subcommand."""
    if chosen.command == "list":
        for name in registry.names():
            for version in registry.versions(name):
                entry = registry.find(name, version)
                size = f"{entry.size / 1e6:.1f} MB"
                print(f"{name}  {version}  {size}  {entry.licence}  {entry.description}")
    elif chosen.command == "fetch":
        print(download.fetch(chosen.name, chosen.version))
    elif chosen.command == "verify":
        card = package.verify(chosen.directory)
        print(f"{chosen.directory}: {len(card['files'])} files as recorded")
    else:
        entry = registry.register(
            chosen.directory,
            chosen.name,
            chosen.version,
            licence=chosen.licence,
            description=chosen.description,
            command=chosen.training_command,
        )
        print(f"registered {entry.folder}: {len(entry.files)} files, {entry.size} bytes")


if __name__ == "__main__":
    cli.run(main)
