"""The way of every command: options, results and diagnostics apart, errors, absl's flags."""

import importlib
import os
import pathlib
import subprocess
import sys

import pytest
import tqdm
from absl import logging

from zoo import cli

ROOT = pathlib.Path(__file__).resolve().parents[1]
COMMANDS = [
    *("train", "evaluate", "export", "perturb", "reproduce", "sweep", "hub", "report"),
    *("data.preview", "data.render_clevr", "sweeps.agreement"),
]
# A command that says something of every kind.
TALK = """
import argparse, logging as standard
from zoo import cli

def _parse(argv):
    parser = cli.Parser(prog="talk")
    parser.add_argument("--end", default="well")
    return parser.parse_args(argv)

@cli.command(_parse)
def main(options):
    from absl import logging
    print("a result")
    logging.info("progress")
    logging.warning("mind %s", "this")
    library = "log.info('chatter')\\nlog.warning('trouble')"
    exec(compile(library, "/library.py", "exec"), {"log": standard.getLogger("library")})
    if options.end == "user":
        raise cli.UserError("mend this\\nat this place")
    if options.end == "pages":
        print("\\n".join(["a line"] * 100_000))
    if options.end == "pipe":
        raise BrokenPipeError(32, "another pipe")
    if options.end == "defect":
        raise ValueError("ours")

if __name__ == "__main__":
    cli.run(main)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A copy of the package in which `zoo.talk` is a command."""
    root = tmp_path_factory.mktemp("place")
    (root / "zoo").mkdir()
    for path in (ROOT / "zoo").glob("*.py"):
        (root / "zoo" / path.name).write_text(path.read_text())
    for name in ("data", "evaluation"):
        (root / "zoo" / name).symlink_to(ROOT / name)
    (root / "zoo" / "talk.py").write_text(TALK)
    return root


def run(root: pathlib.Path, module: str, *arguments: str, through=(), **environment: str):
    return subprocess.run(
        [*through, sys.executable, "-m", module, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        capture_output=True,
        text=True,
    )


def test_results_and_diagnostics_are_apart(place):
    done = run(place, "zoo.talk")
    assert done.returncode == 0 and done.stdout == "a result\n"
    assert done.stderr == "progress\nwarning: mind this\nwarning: trouble\n"


@pytest.mark.parametrize(
    ("verbosity", "said"),
    [
        ("-1", ["warning: mind this", "warning: trouble"]),
        ("-2", []),
        ("1", ["progress", "warning: mind this", "chatter", "warning: trouble"]),
    ],
)
def test_verbosity(place, verbosity, said):
    done = run(place, "zoo.talk", f"--verbosity={verbosity}")
    assert done.stdout == "a result\n" and done.stderr.splitlines() == said


def test_an_error_of_the_user_is_one_line_and_a_traceback_where_asked(place):
    done = run(place, "zoo.talk", "--end=user", "--verbosity=-2")
    assert done.returncode == 2 and done.stderr == "error: mend this\n"
    done = run(place, "zoo.talk", "--end=user", ZOO_TRACEBACK="0")
    assert "Traceback" not in done.stderr
    done = run(place, "zoo.talk", "--end=user", ZOO_TRACEBACK="1")
    assert done.returncode == 2 and done.stderr.endswith("\nerror: mend this\n")
    assert "Traceback" in done.stderr and 'raise cli.UserError("mend this' in done.stderr


def test_a_defect_is_a_traceback(place):
    done = run(place, "zoo.talk", "--end=defect")
    assert done.returncode == 1 and done.stderr.endswith("ValueError: ours\n")


def unread(root: pathlib.Path, *arguments: str) -> tuple[int, str]:
    """Exit code and standard error of a program whose output nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    # Unbuffered, argparse itself passes over what it cannot write.
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": ""}
    options = {"stdout": writer, "stderr": subprocess.PIPE, "env": environment, "cwd": root}
    done = subprocess.run([sys.executable, "-m", *arguments], text=True, **options)
    os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("zoo.talk", "--end=pages", "--verbosity=-2"),  # fails while it writes
        ("zoo.talk", "--verbosity=-2"),  # fails when it ends
        ("zoo.talk", "--help"),
        ("zoo.hub", "list"),
        ("zoo", "hub", "list"),
        ("zoo",),
    ],
)
def test_a_reader_that_leaves_ends_a_command_without_a_word(place, arguments):
    root = ROOT if arguments[0] != "zoo.talk" else place
    assert unread(root, *arguments) == (141, "")


def test_a_closed_standard_output_is_no_error(place):
    done = run(place, "zoo.talk", through=("sh", "-c", '"$@" >&-', "sh"))
    assert done.returncode == 0 and done.stdout == ""
    assert done.stderr == "progress\nwarning: mind this\nwarning: trouble\n"


def test_another_pipe_that_breaks_is_a_defect(place):
    done = run(place, "zoo.talk", "--end=pipe")
    assert done.returncode == 1 and "BrokenPipeError" in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_parse_before_they_import(name):
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['command', '--help']\n"
        f"try:\n    runpy.run_module('zoo.{name}', run_name='__main__')\n"
        "except SystemExit as stop:\n    assert stop.code == 0\n"
        "assert 'absl.app' in sys.modules\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert f"python -m zoo.{name}" in done.stdout and "--verbosity" in done.stdout


def test_wrong_arguments_are_one_line(capsys):
    for name in COMMANDS:
        home = importlib.import_module(f"zoo.{name}{'.__main__' * (name in ('hub', 'report'))}")
        for argument in ("--verbosity=loud", "--no_such_option"):
            with pytest.raises(SystemExit) as stopped:
                cli.run(home.main, [argument])
            said = capsys.readouterr().err
            assert stopped.value.code == 2 and said.count("\n") == 1
            assert said.startswith(f"python -m zoo.{name}: error: ")


def test_lines_stand_above_progress_bars(capsys):
    @cli.command(list)
    def main(_):
        with tqdm.tqdm(total=2, file=sys.stderr) as bar:
            bar.update()
            logging.warning("above")
            bar.update()

    main([])
    said = capsys.readouterr().err
    before, after = said.split("warning: above\n")
    # The bar is wiped before the line, and drawn again below it.
    assert before.endswith("\r") and not before.rpartition("\r")[0].rpartition("\r")[2].strip()
    assert after.startswith("\r") and "1/2" in after.split("\r")[1]


def test_the_verbosity_of_one_command_is_not_that_of_the_next():
    from absl import logging

    from zoo import cli

    @cli.command(lambda argv: cli.Parser(prog="talk").parse_args(argv))
    def talk(options):
        logging.info("progress")

    for arguments, shown in ((["--verbosity=-1"], False), ([], True)):
        talk(arguments)
        assert (logging.get_verbosity() >= logging.INFO) is shown
