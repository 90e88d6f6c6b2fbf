"""Exports a run: as a SavedModel, as ONNX, or the rest of its training for JAX.

python -m zoo.export --run=DIR --out=DIR
python -m zoo.export --half --run=DIR
python -m zoo.export --format=onnx --run=DIR --out=DIR
python -m zoo.export --format=onnx --model=NAME --out=DIR
python -m zoo.export --loop --run_dir=DIR --out=DIR [--gin_file=FILE]
"""

import argparse
import json
import pathlib
import shlex
import tempfile
from collections.abc import Sequence

from zoo import cli


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        prog="python -m zoo.export",
        description="Export a run's newest checkpoint, or that of train.select, as a SavedModel or "
        "as ONNX files, finished or not; with --half, its exported model again with weights in "
        "half precision; or, with --loop, what is left to train of it as a program that JAX runs "
        "without TensorFlow.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", "--run_dir", dest="run", help="the folder of a run")
    what.add_argument("--model", help="with --format=onnx: a pretrained model, or an exported one")
    parser.add_argument("--out", help="where (default: saved_model, or onnx, in the run's folder)")
    parser.add_argument(
        "--format", choices=("saved_model", "onnx"), default="saved_model", help="(saved_model)"
    )
    parser.add_argument(
        "--half",
        action="store_true",
        help="round the weights of the exported model, which may be named itself by --run, to "
        "float16, score it again, and write it if every score stays within 0.005",
    )
    parser.add_argument("--loop", action="store_true", help="export the training, to a new --out")
    cli.add_gin(parser, "with --loop, for a run that is not begun: ")
    cli.add_trust(parser)
    options = parser.parse_args(argv)
    if options.loop and not options.out:
        parser.error("--loop needs --out, the folder to write")
    if options.loop and (options.model or options.half or options.format == "onnx"):
        parser.error("--loop takes a --run, and neither --format nor --half")
    if options.half and options.format == "onnx":
        parser.error("--half and --format=onnx: give one of them")
    if options.model and not (options.format == "onnx" and options.out):
        parser.error("--model needs --format=onnx and --out: it is a SavedModel already")
    if options.gin_bindings and not options.gin_file:
        parser.error("--gin_bindings needs a --gin_file")
    if options.gin_file and not options.loop:
        parser.error("--gin_file needs --loop: a run has its own config")
    return options


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Exports, says where."""
    cli.import_tensorflow(options.run if options.loop else None)

    import zoo.configurables  # noqa: F401  registers what gin files name

    if options.loop:
        _export_loop(options)
        return
    if options.half:
        from zoo import loading

        card, out = loading.halve(options.run, options.out, options.trust)
        print(f"scores: {json.dumps(card.get('scores'))}\nmodel: zoo.load({str(out)!r})")
        return
    if options.format == "onnx":
        _export_onnx(options)
        return
    from zoo.training import publishing

    out = pathlib.Path(options.out or pathlib.Path(options.run) / "saved_model")
    publishing.export_run(options.run, out, options.trust)
    print(f"model: zoo.load({str(out)!r})")


def _export_onnx(options: argparse.Namespace) -> None:
    from zoo import hub
    from zoo.hub import to_onnx
    from zoo.training import publishing

    out = pathlib.Path(options.out or pathlib.Path(options.run) / "onnx")
    with tempfile.TemporaryDirectory() as folder:
        exported = options.model or pathlib.Path(folder) / "saved_model"
        if options.run:
            publishing.export_run(options.run, exported, options.trust)
        paths = to_onnx.write(hub.load(exported), out)
    print("\n".join(map(str, paths)))


def _export_loop(options: argparse.Namespace) -> None:
    from zoo import runs
    from zoo.portable.job import export_loop, training_command
    from zoo.portable.settings import settings_of

    files = options.gin_file or [str(runs.RunFolder(pathlib.Path(options.run)).require_config())]
    # What the user has named is trusted; what lies in the folder is not.
    trust = options.trust or bool(options.gin_file)
    made = settings_of(files, options.gin_bindings, options.run, trust)
    with made as (settings, facts):
        job = export_loop(settings, options.run, options.out, facts)
    out, run = shlex.quote(options.out), shlex.quote(options.run)
    there = training_command(pathlib.Path(pathlib.Path(options.out).resolve().name))
    print(
        f"steps {job['start']} to {job['steps']} of {job['name']}\n"
        f"there:  {there}\n"
        f"then:   python -m zoo.import_loop {out} --run_dir={run}"
    )


if __name__ == "__main__":
    cli.run(main)
