"""`ebm run NAME` with nobody there: it ends with its parent, and its answers go to a log."""

import sys

from tasks.scratch import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    from flows.cli import app

    app(["run", *sys.argv[1:]])
