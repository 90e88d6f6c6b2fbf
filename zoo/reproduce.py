"""Reruns tables of papers: `python -m zoo.reproduce --table=zietlow/3.3 --budget=cpu`."""

import argparse
import pathlib
from collections.abc import Sequence

from zoo import cli
from zoo.scheduling import command


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        prog="python -m zoo.reproduce",
        description="Rerun a table of a paper and write it beside the paper's numbers. The same "
        "command again passes over finished runs and resumes broken ones.",
    )
    parser.add_argument(
        "--list", action="store_true", help="print all tables and their rows, or those of --table"
    )
    parser.add_argument("--table", help="for example zietlow/3.3")
    parser.add_argument("--budget", default="cpu", help="paper, or cpu for two cores (cpu)")
    parser.add_argument("--rows", default="", metavar="GLOB[,GLOB]", help="only these rows")
    parser.add_argument(
        "--seeds", type=command.positive, help="how many (default: as the budget says)"
    )
    parser.add_argument("--index", type=int, help="only the run of this number, for schedulers")
    parser.add_argument("--write", action="store_true", help="only write the table")
    parser.add_argument("--results", metavar="FILE", help="write all tables that have runs here")
    parser.add_argument("--out", default="reproductions", help="the folder of all runs and tables")
    cli.add_imports(parser, "tables (TABLES, a tuple of zoo.papers.spec.Table)")
    command.add_flags(parser)
    options = parser.parse_args(argv)
    if not (options.list or options.table or options.results):
        parser.error("give a --table, --list or --results")
    return options


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Trains what is missing, writes the tables, tells what failed."""
    from zoo.errors import UserError
    from zoo.papers import catalog, documents, results, status, tasks

    cli.do_imports(options.imports)
    for module in options.imports:
        catalog.add(module)
    if options.list:
        chosen = [catalog.table(options.table)] if options.table else catalog.tables().values()
        status.show_tables(chosen)
        return
    out = pathlib.Path(options.out)
    outcome = command.Outcome(0)
    if options.table:
        table = catalog.table(options.table)
        rows = catalog.rows(table, [g for g in options.rows.split(",") if g])
        budget = catalog.check_budget(options.budget)
        if not (options.seeds or options.write):
            tasks.require_any(table.name, rows, budget)
        found = tasks.of_rows(rows, budget, out, options.seeds)
        if options.status:
            command.show_status(found, options.json)
            return
        if options.index is not None:
            if not 0 <= options.index < len(found):
                raise UserError(f"--index={options.index}: there are runs 0 to {len(found) - 1}")
            found = [found[options.index]]
        if not options.write:
            every = tasks.of_rows(table.rows, budget, out, options.seeds)
            chosen = tasks.of_one_precision(found, every, command.environment(options))
            outcome = command.run([t.job() for t in chosen], options, tasks.refused(chosen))
            compared = results.comparisons_of(table, rows, budget, out)
            if compared and options.index is None:
                outcome = outcome.then(command.run(compared, options, noun="comparisons of seeds"))
        # Of many processes with an index each none should write what another is documents.
        if options.index is None:
            for path in documents.write(table, out):
                command.say(str(path), options)
    if options.results:
        names = documents.write_results(pathlib.Path(options.results), out)
        command.say(f"{options.results}: {', '.join(names) or 'no table has runs yet'}", options)
    outcome.end()


if __name__ == "__main__":
    cli.run(main)
