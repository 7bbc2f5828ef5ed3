"""One who follows the pages: runs their commands, in a project and with a home of its own."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.flows.conftest import ROOT

WHO = {f"GIT_{w}_{k}": "a@b.example" for w in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")}


def blocks(page: str, language: str = "sh") -> list[str]:
    """Return what a page has in fences of a language."""
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def commands(page: str) -> list[str]:
    """Return the lines of a page's shell blocks, without remarks."""
    lines = [line.split(" #")[0].strip() for block in blocks(page) for line in block.splitlines()]
    return [line for line in lines if line]


class Reader:
    """A reader with a folder for a project, a home, and programs of its own."""

    def __init__(self, folder: Path) -> None:
        self.project, self.home, self.programs = (folder / n for n in ("project", "home", "bin"))
        for each in (self.project, self.home, self.programs):
            each.mkdir(parents=True, exist_ok=True)
        ebm = self.programs / "ebm"
        ebm.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m flows "$@"\n')
        ebm.chmod(0o755)
        path = f"{self.programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"HOME": str(self.home), "PATH": path, "DVC_SITE_CACHE_DIR": str(folder / "site")}
        self.env = {**os.environ, **WHO, **own}
        for name in ("PYTHONPATH", "EBM_DATA"):
            self.env.pop(name, None)

    def follow(self, script: str) -> str:
        """Run commands; one that fails fails the test."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.project,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    @contextmanager
    def leave(self, command: str, until: str, seconds: float = 120.0) -> Iterator[str]:
        """Have a command that stays run, from when it says something; yield what it has said."""
        log = self.home / f"said-{len(list(self.home.glob('said-*')))}"
        with log.open("w") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"exec env {command}"],
                cwd=self.project,
                env=self.env,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            end = time.monotonic() + seconds
            while not re.search(until, log.read_text()):
                assert process.poll() is None, f"{command} ended: {log.read_text()[-2000:]}"
                assert time.monotonic() < end, f"{command}: {log.read_text()[-2000:]}"
                time.sleep(0.2)
            yield log.read_text()
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:  # a worker that was told to end while it started
                process.kill()
                process.wait()
