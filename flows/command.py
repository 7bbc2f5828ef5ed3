"""What commands of `ebm` share: the app, its arguments, and errors said in one sentence."""

import functools
import os
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer

DEFAULT = "multigrid-digits"
HERE: ContextVar[Path] = ContextVar("HERE")  # the folder that the command was called in
app = typer.Typer(
    help="Energy-based models, end to end: data, training, samples, metrics, report.\n\n"
    "Begin with [bold]ebm run[/bold], then open the report it names. "
    "[bold]ebm COMMAND --help[/bold] has an example of each command.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

Name = Annotated[str, typer.Argument(help="An experiment of params.yaml, as `ebm list` shows.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same samples.")]
Out = Annotated[
    Path | None, typer.Option(help="A folder, or a file (.png mostly); this folder if none.")
]
Force = Annotated[bool, typer.Option("--force", help="Write over what is there.")]


def here() -> Path:
    """Return the working folder.

    Raises:
        ValueError: it was removed.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ValueError("the folder that you are in is gone; cd to one that is there") from None


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a command that runs in the project's folder and says its errors in one sentence."""

    @functools.wraps(function)
    def guarded(*arguments: Any, **options: Any) -> None:
        before: Path | None = None
        try:
            before = here()
            HERE.set(before)
            os.chdir(project())
            function(*arguments, **options)
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            typer.echo("ebm: stopped; run it again and it goes on where it was", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:  # `ebm list | head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise typer.Exit(0) from None
        except Exception as error:  # DVC and Prefect have their own, by the dozen
            if os.environ.get("EBM_DEBUG"):
                raise
            typer.echo(f"ebm: {sentence(error)}", err=True)
            raise typer.Exit(1) from None
        finally:
            if before:
                with suppress(OSError):  # it may be gone by now
                    os.chdir(before)

    return app.command(function.__name__.rstrip("_"))(guarded)


def project() -> Path:
    """Return the folder of the project: this one, or the nearest above that holds params.yaml."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file():
            return folder
    raise ValueError(f"there is no params.yaml in {here} or above; go to the project's folder")


def sentence(error: Exception) -> str:
    """Say an error in a line, as a person would."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'}: {error.strerror}"
    text = " ".join(str(error).split()) or type(error).__name__
    expected = isinstance(error, ValueError | RuntimeError | FileNotFoundError)
    return text if expected else f"{text} (EBM_DEBUG=1 shows where)"


def show_table(table: Any) -> None:
    """Print a table as wide as the terminal, or as it needs where there is none."""
    from rich.console import Console

    console = Console()
    Console(width=None if console.is_terminal else 160).print(table)
