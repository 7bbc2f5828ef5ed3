"""The Python of docs/samplers.md runs as it stands, and prints what the page says."""

import contextlib
import io
import re
from itertools import zip_longest

import pytest

from tests.flows.reader import blocks

NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]\d+)?|-?\d+e[-+]\d+")
SIGNATURE = "steps=..."  # the form that all samplers share, which is no call


def numbers(text: str) -> list[float]:
    return [float(each) for each in NUMBER.findall(text)]


def test_the_page_on_samplers_prints_what_it_says() -> None:
    code = "\n".join(
        block for block in blocks("docs/samplers.md", "python") if SIGNATURE not in block
    )
    said = [line.split("#", 1)[1] for line in code.splitlines() if line.startswith("print(")]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "docs/samplers.md", "exec"), {})  # the page's own text
    found = re.split(r"\n(?!\s)", printed.getvalue().strip())
    assert len(said) >= 8
    for line, words in zip_longest(found, said):
        for value in numbers(line):
            near = min(numbers(words), key=lambda each: abs(each - value))
            assert near == pytest.approx(value, rel=0.01, abs=0.002), f"{line} for {words}"
