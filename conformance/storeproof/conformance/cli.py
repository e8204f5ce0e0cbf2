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
    limit_s: Annotated[float, typer.Option(min=0.001, help="Seconds after which an operation counts as hanging.")] = 10,
    repro_dir: Annotated[Path, typer.Option(metavar="DIR", help="Where failing programs are saved.")] = Path(
        ".storeproof"
    ),
) -> None:
    """Hold one store or several to the contract."""
    with _errors_told():
        from storeproof.conformance.verification import Request, verify_targets

        request = Request(tuple(targets or ()), profile, seed, tuple(rule or ()), json, junit, limit_s, repro_dir)
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
def selftest(
    seed: Annotated[int, typer.Option(help="Repeats a run.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A sample of the mutants only.")] = False,
) -> None:
    """Show what the kit is worth: it has to notice every broken model and every broken store."""
    with _errors_told():
        from storeproof.conformance.selftest import run

        raise typer.Exit(run(_console(), seed=seed, quick=quick))


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


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False)


def _complain(message: str) -> None:
    printable = (
        message.encode("ascii", "backslashreplace")
        if not sys.stderr.encoding
        else message.encode(sys.stderr.encoding, "backslashreplace")
    )
    print(f"storeproof: {printable.decode(sys.stderr.encoding or 'ascii')}", file=sys.stderr)


if __name__ == "__main__":
    main()
