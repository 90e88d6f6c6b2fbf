"""Every command of the package: `zoo COMMAND ...`, the same as `python -m zoo.COMMAND ...`."""

import difflib
import importlib
import sys
from collections.abc import Sequence

from zoo import __version__, cli

# Name -> its module, and what it does.
COMMANDS = {
    "train": ("zoo.train", "train a model from a gin file, or resume its run"),
    "evaluate": ("zoo.evaluate", "score a run, a pretrained model, or arrays of codes and factors"),
    "reproduce": ("zoo.reproduce", "rerun a table of a paper beside its numbers"),
    "sweep": ("zoo.sweep", "train every value of a setting with several seeds"),
    "report": ("zoo.report.__main__", "write a page of several runs side by side"),
    "hub": ("zoo.hub.__main__", "find, download, verify and publish pretrained models"),
    "explore": ("zoo.explore", "write a page with a model's sliders, for a browser"),
    "preview": ("zoo.data.preview", "draw a contact sheet of a data set"),
    "perturb": ("zoo.perturb", "train a perturbation that misleads VAEs"),
    "export": ("zoo.export", "export a run as a SavedModel, or the rest of its training"),
    "import_loop": ("zoo.import_loop", "bring back a training run that was exported"),
}


@cli.piped()
def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command to the end of the process; without one, lists them."""
    name, *arguments = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        print("usage: zoo COMMAND [arguments]; zoo COMMAND --help\n")
        for command, (_, about) in COMMANDS.items():
            print(f"  {command:{width}}  {about}")
    elif name == "--version":
        print(__version__)
    elif name in COMMANDS:
        cli.run(importlib.import_module(COMMANDS[name][0]).main, arguments)
    else:
        near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.0)[0]
        print(f"zoo: error: no command is named {name!r}; the nearest is {near}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
