"""The command line without its installed script: python -m flows COMMAND."""

from flows.cli import app

if __name__ == "__main__":
    app(prog_name="ebm")
