"""The command `storeproof`: arguments in, exit code out. What it does is in the modules it calls.

They are imported inside the commands: an application that has only an adapter's extra can run `migrate`.
Exit codes: 0 conforms, 1 does not (or was not exercised), 2 usage, 3 the kit cannot tell, 130 interrupted.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

from storeproof.spec.errors import CannotTellError, StoreproofError

if TYPE_CHECKING:
    from rich.console import Console

CONFORMANCE_EXTRA = "pip install 'storeproof[conformance]'"
BADGE = "Writes a badge: a picture where the name ends in .svg, else JSON for shields.io; repeatable."

try:
    import typer
except ModuleNotFoundError:
    print(f"storeproof: the command needs more than an adapter does: {CONFORMANCE_EXTRA}", file=sys.stderr)
    # Not as a string: Python would exit with 1, which says that a store does not conform.
    raise SystemExit(3) from None

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Proves that a durable-workflow store keeps its promises.",
)


def main() -> NoReturn:
    """The entry point; leaves by SystemExit, with 3 for a defect of the kit itself."""
    # A check makes callbacks fail on purpose, and whoever logs that would write into the progress and the table.
    logging.getLogger().addHandler(logging.NullHandler())
    code = 3
    try:
        app()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 2
    except BrokenPipeError:
        code = 3
    except Exception:
        import traceback

        traceback.print_exc()
        _complain("this is a defect of the kit, not of the store; please report it with the lines above")
    from storeproof.conformance.leaving import leave

    leave(code)


@app.command()
def verify(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TARGET]...",
            help="memory:, sqlite: (or sqlite::memory:, sqlite:FILE), postgresql: (embedded) or postgresql://…, "
            "module:factory, an async context manager that yields an empty store, or stdio:COMMAND, a program that "
            "speaks the wire protocol. Default: the reference adapters.",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[str, typer.Option(help="How much is tried: quick, default or thorough.")] = "default",
    seed: Annotated[int | None, typer.Option(help="Repeats a run. [default: random, and printed]")] = None,
    rule: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this rule, or an operation's rules; repeatable.")
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes the report as JSON.")] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes the report as JUnit XML.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes the report as one page of HTML.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes a summary for CI.")] = None,
    badge: Annotated[list[Path] | None, typer.Option(metavar="FILE", help=BADGE)] = None,
    limit_s: Annotated[float, typer.Option(min=0.001, help="Seconds after which an operation counts as hanging.")] = 10,
    repro_dir: Annotated[Path, typer.Option(metavar="DIR", help="Where failing programs are saved.")] = Path(
        ".storeproof"
    ),
    jobs: Annotated[int, typer.Option(min=1, help="Processes that share the work, each on a store of its own.")] = 1,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only failures and verdicts; neither progress nor the table.")
    ] = False,
    claim: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What the adapter claims, and which rules are known to fail.")
    ] = None,
) -> None:
    """Hold one store or several to the contract."""
    with _errors_told():
        from storeproof.conformance.outputs import Outputs
        from storeproof.conformance.verification import Request, verify_targets

        outputs = Outputs(json, junit, html, markdown, tuple(badge or ()))
        request = Request(
            tuple(targets or ()), profile, seed, tuple(rule or ()), outputs, limit_s, repro_dir, jobs, claim, quiet
        )
        raise typer.Exit(verify_targets(request))


@app.command()
def rules(
    name: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A rule, an operation, or the beginning of one.")
    ] = None,
) -> None:
    """Show the rules of the contract, or everything about one."""
    with _errors_told():
        from storeproof.conformance.rulebook import print_rules
        from storeproof.spec.loader import load

        print_rules(_console(), load(), name)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A repro file.")],
    target: Annotated[str | None, typer.Option(help="Another target than the one in the file.")] = None,
    limit_s: Annotated[float, typer.Option(min=0.001, help="Seconds after which an operation counts as hanging.")] = 10,
) -> None:
    """Run a saved program again: exit code 0 when it no longer fails, 1 when it does."""
    with _errors_told():
        from storeproof.conformance.replaying import replay_file

        raise typer.Exit(replay_file(_console(), file, target, limit_s))


@app.command()
def vectors(
    target: Annotated[str | None, typer.Argument(metavar="[TARGET]", help="As for `verify`.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Names the vectors and their rules, and runs nothing.")] = False,
    limit_s: Annotated[float, typer.Option(min=0.001, help="Seconds after which an operation counts as hanging.")] = 10,
) -> None:
    """Run the recorded vectors on a store; what fails is told by file and line."""
    with _errors_told():
        from storeproof.conformance.vectorruns import list_vectors, run_vectors

        console = _console()
        raise typer.Exit(list_vectors(console) if list_ else run_vectors(target, limit_s, console, _console(True)))


@app.command()
def report(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `verify --json` wrote.")],
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes one page of HTML.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes a summary for CI.")] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes JUnit XML.")] = None,
    badge: Annotated[list[Path] | None, typer.Option(metavar="FILE", help=BADGE)] = None,
) -> None:
    """Show the report of a run again, or make files of it."""
    with _errors_told():
        from storeproof.conformance.outputs import Outputs
        from storeproof.conformance.report import read_reports
        from storeproof.conformance.terminal import print_reports
        from storeproof.spec.loader import load

        outputs = Outputs(junit=junit, html=html, markdown=markdown, badges=tuple(badge or ()))
        outputs.check()
        reports = read_reports(file)
        outputs.write(reports, load())
        if outputs.none:
            print_reports(_console(), reports, load())


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="What `verify --json` wrote.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The same of another run, or of another adapter.")],
) -> None:
    """Show what changed between two reports: exit code 0 when nothing did, 1 when something did."""
    with _errors_told():
        from storeproof.conformance.report import read_reports
        from storeproof.conformance.reportdiff import print_difference

        raise typer.Exit(print_difference(_console(), read_reports(before), read_reports(after)))


@app.command()
def selftest(
    seed: Annotated[int, typer.Option(help="Repeats a run.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A sample of the mutants only.")] = False,
) -> None:
    """Show what the kit is worth: it has to notice every broken model and every broken store."""
    with _errors_told():
        from storeproof.conformance.selftest import run

        raise typer.Exit(run(_console(), seed=seed, quick=quick))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder; its name becomes the module's.")],
) -> None:
    """Write a small project for a new adapter: the store's methods to fill in, the test file, a CI step."""
    with _errors_told():
        from storeproof.conformance.starters import write_project

        for path in write_project(folder):
            print(path)


@app.command()
def migrate(
    url: Annotated[str, typer.Argument(metavar="URL", help="postgresql://… or sqlite:FILE")],
    sql: Annotated[bool, typer.Option("--sql", help="Prints the migrations and touches nothing.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Says what is missing and changes nothing.")] = False,
    schema: Annotated[str | None, typer.Option(help="The Postgres schema. [default: the search path]")] = None,
) -> None:
    """Set up a database for the Postgres or the D1 adapter, or bring it up to date."""
    with _errors_told():
        from storeproof.conformance.migration import migrate_database

        raise typer.Exit(migrate_database(url, sql=sql, check=check, schema=schema))


@app.command()
def serve(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="As for verify, or model: for the reference model.")],
    schema: Annotated[str | None, typer.Option(help="A Postgres schema that stays: new, or the kit's.")] = None,
    reset: Annotated[
        bool, typer.Option("--reset/--no-reset", help="--no-reset: an application's database, which is never emptied.")
    ] = True,
) -> None:
    """Offer a store to a program in any language, over standard input and output."""
    with _errors_told():
        from storeproof.conformance.serving import serve_target

        raise typer.Exit(serve_target(target, schema=schema, reset=reset))


def _version(wanted: bool) -> None:
    if wanted:
        from storeproof.conformance.versions import kit_version
        from storeproof.spec.specification import REVISION

        print(f"storeproof {kit_version()}, specification revision {REVISION}")
        raise typer.Exit


@app.callback()
def _options(  # pyright: ignore[reportUnusedFunction]
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the versions and leave.")
    ] = False,
) -> None:
    """Proves that a durable-workflow store keeps its promises."""


@contextmanager
def _errors_told() -> Generator[None]:
    """Turns what a person can do something about into one message and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        _complain("interrupted; nothing of the kit's is left behind")
        raise typer.Exit(130) from None
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("storeproof"):
            raise
        _complain(f"{error.name} is not installed: {CONFORMANCE_EXTRA}")
        raise typer.Exit(3) from None
    except CannotTellError as error:
        _complain(str(error))
        raise typer.Exit(2 if type(error).__name__ == "UsageError" else 3) from None
    except StoreproofError as error:
        _complain(str(error))
        raise typer.Exit(3) from None


def _console(stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False)


def _complain(message: str) -> None:
    printable = (
        message.encode("ascii", "backslashreplace")
        if not sys.stderr.encoding
        else message.encode(sys.stderr.encoding, "backslashreplace")
    )
    print(f"storeproof: {printable.decode(sys.stderr.encoding or 'ascii')}", file=sys.stderr)


if __name__ == "__main__":
    main()
