"""Scores a model or arrays: `python -m zoo.evaluate --run=DIR`, `--model=NAME`, `--codes=FILE`."""

import argparse
import ast
import json
import pathlib
import shlex
import sys
import time
from collections.abc import Sequence

from zoo import cli

# Seconds in which a run that another process has may be given up.
_PATIENCE = 60.0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        prog="python -m zoo.evaluate",
        description="Score a trained model or arrays with a suite of metrics and print the table. "
        "With --run the run's scores.json, model card and report are brought up to date.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--run", help="the folder of a run")
    which.add_argument("--model", help="the name of a pretrained model, or an exported folder")
    which.add_argument(
        "--codes",
        metavar="FILE.npz",
        help="arrays codes and factors, perhaps codes_test and factors_test, latents, jacobians, "
        "masks or whatever else a score needs (zoo/evaluation/README.md); needs no TensorFlow",
    )
    parser.add_argument(
        "--dataset",
        help="score on this data set (default: the test set of the training, or else its data set)",
    )
    parser.add_argument(
        "--metrics", default="standard", help="a suite, or comma-separated scores (standard)"
    )
    parser.add_argument(
        "--options",
        type=_options_of_scores,
        metavar="{SCORE: {NAME: VALUE}}",
        help="arguments of single scores, as JSON or a Python literal, as in "
        '\'{"lms_tree": {"blocks": 2}}\' (those of the training; of --codes none); with --run, '
        "scores with other options than in the training are shown and not kept",
    )
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument(
        "--seed", type=int, help="of everything sampled (that of the training; of --codes 0)"
    )
    seeds.add_argument(
        "--seeds",
        type=_numbers,
        metavar="S,S,...",
        help="comma-separated seeds: the mean of each score, and its deviation over them",
    )
    parser.add_argument(
        "--bootstrap",
        type=int,
        default=0,
        metavar="TIMES",
        help="resample the images so often for 95 %% intervals over images, not over training "
        "seeds (0, none; 200 is customary, and 200 times the work)",
    )
    parser.add_argument(
        "--chance",
        action="store_true",
        help="also print the mean of each score over 5 permutations of the factors",
    )
    cli.add_imports(parser)
    parser.add_argument("--out", help="also write the scores to this file: JSON, or CSV for .csv")
    parser.add_argument("--html", help="also write a page of the scores and their matrices")
    parser.add_argument(
        "--strict", action="store_true", help="write no file at all where a score fails"
    )
    options = parser.parse_args(argv)
    for name in ("run", "model", "codes"):
        if getattr(options, name) == "":
            parser.error(f"--{name} is empty")
    named = [options.codes, options.out, options.html]
    files = [pathlib.Path(name).resolve() for name in named if name]
    if len(set(files)) < len(files):
        parser.error("--codes, --out and --html must be different files")
    of_run = _files_of(pathlib.Path(options.run)) if options.run else ()
    for name in ("out", "html"):
        path = getattr(options, name)
        if path and pathlib.Path(path).resolve() in of_run:
            parser.error(
                f"--{name}={path} is a file of the run itself, which --run keeps up to date; "
                "leave the option out, or name another file"
            )
    options.seed = options.seeds or options.seed
    if options.codes and options.seed is None:
        options.seed = 0
    if options.codes and options.dataset:
        parser.error("--codes has its own factors: leave out --dataset")
    return options


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: give whole numbers, as in 0,1,2") from error


def _options_of_scores(text: str) -> dict[str, dict]:
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(found, dict) and all(
            isinstance(options, dict) and all(isinstance(name, str) for name in (score, *options))
            for score, options in found.items()
        ):
            return found
    raise argparse.ArgumentTypeError(
        f'{text!r}: give options by score, as in \'{{"lms_tree": {{"blocks": 2}}}}\''
    )


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Scores, prints the table, keeps the scores."""
    if not options.codes:
        cli.import_tensorflow()
    cli.do_imports(options.imports)

    from zoo import files, scoring

    kept = pathlib.Path(options.run) if options.run and not options.dataset else None
    for path in filter(None, (options.out, options.html)):
        files.require_writable(path)
    if kept and (kept / "config.gin").is_file():
        _require_unused(kept)
    if options.codes:
        table, summary = _score_arrays(options)
    else:
        model = options.run or options.model
        table = scoring.score(model, options.dataset, options.metrics, **_how(options))
        seed = "of the training" if options.seed is None else options.seed
        summary = {"model": model, "dataset": options.dataset, "seed": seed}
    if options.options:
        summary["options"] = json.dumps(options.options)
    scoring.show(table)
    failed = scoring.broken(table)
    if failed and options.strict:
        sys.exit(f"error: {', '.join(failed)} failed, and nothing is written; see the log")
    if options.out:
        scoring.write(pathlib.Path(options.out), table)
    if options.html:
        scoring.write_page(pathlib.Path(options.html), table, summary)
    if kept and (table := _of_training(kept, table, options.options)):
        _keep(kept, table)
    if failed:
        sys.exit(f"error: {', '.join(failed)} failed; see the traceback above")


def _files_of(run: pathlib.Path) -> set[pathlib.Path]:
    """The files of a run, which --out and --html may not replace."""
    from zoo import runs

    folder = runs.RunFolder(run)
    told = (folder.config, folder.manifest, folder.metrics, folder.scores, folder.marker)
    return {path.resolve() for path in (*told, folder.report / "index.html")}


def _require_unused(run: pathlib.Path) -> None:
    """Finds before hours of scoring that a run could not keep its scores."""
    from zoo import runs
    from zoo.errors import UserError

    try:
        with runs.opened(run):
            pass
    except runs.RunError as error:
        raise UserError(
            f"{_what_is_wrong(error)}, and the scores are kept there; mend that, or score its "
            f"model alone with --model={shlex.quote(str(run / 'saved_model'))} --out=FILE"
        ) from None


def _of_training(run: pathlib.Path, table: dict, options: dict | None) -> dict:
    """The scores with the options that a run's training has for them, which it can keep."""
    from absl import logging

    from zoo import scoring

    if other := scoring.with_other_options(run, options or {}):
        names = ", ".join(other)
        logging.info("%s: not with the options of the training, and so not kept there", names)
    return {name: row for name, row in table.items() if name not in other}


def _keep(run: pathlib.Path, table: dict) -> None:
    """Adds scores to a run, which another process may have for a while."""
    from zoo import runs, scoring
    from zoo.errors import UserError

    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return scoring.keep(run, table)
        except runs.InUse as error:
            if time.monotonic() >= end:
                raise UserError(
                    f"{_what_is_wrong(error)}, so that scores.json, model card and report stay as "
                    "they were; the files of --out and --html are written"
                ) from None
        time.sleep(1)


def _what_is_wrong(error: Exception) -> str:
    """A message of `zoo.runs` without what it advises, which is for those who train."""
    return str(error).partition(";")[0]


def _how(options: argparse.Namespace) -> dict:
    return {name: getattr(options, name) for name in ("seed", "chance", "bootstrap", "options")}


def _score_arrays(options: argparse.Namespace) -> tuple[dict, dict]:
    """The table of the arrays of a file, and what is known of them."""
    from absl import logging

    from zoo import scoring
    from zoo.evaluation import suite

    arrays = scoring.read_arrays(options.codes)
    table = suite.evaluate_arrays(arrays, options.metrics, **_how(options))
    if more := [name for name in suite.scores_of(arrays) if name not in table]:
        logging.info("the arrays are enough for more: --metrics=%s", ",".join(more))
    shapes = {name: f"{array.dtype} {list(array.shape)}" for name, array in arrays.items()}
    summary = {"dataset": pathlib.Path(options.codes).name, "seed": options.seed, "arrays": shapes}
    if not any(name.endswith("_test") for name in arrays):
        summary["test_half"] = "a third of the rows, at random by the seed, for scores that need it"
    return table, summary


if __name__ == "__main__":
    cli.run(main)
