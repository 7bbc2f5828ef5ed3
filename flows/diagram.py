"""The picture of an experiment's graph in the documents: python -m flows.diagram."""

from collections.abc import Sequence
from pathlib import Path

from flows.graph import Stage, all_stages, open_repo, stages_of
from tasks.artefacts import write_text
from tasks.paths import Paths

PAGE = Path("docs/pipeline.md")
BEGIN, END = "<!-- drawn by python -m flows.diagram -->\n", "<!-- end of the drawing -->\n"
SHOWN = "multigrid-digits"


def mermaid(stages: Sequence[Stage]) -> str:
    """Draw stages as a mermaid flowchart, an arrow from each stage to those that stand on it."""
    number = {stage.address: f"s{index}" for index, stage in enumerate(stages)}
    lines = ["```mermaid", "flowchart LR"]
    for stage in stages:
        text = f"{stage.label}<br/>{stage.outs[0]}"
        lines.append(f'  {number[stage.address]}["{text}"]')
    for stage in stages:
        ups = [number[up] for up in stage.upstream if up in number]
        lines += [f"  {up} --> {number[stage.address]}" for up in ups]
    return "\n".join([*lines, "```", ""])


def redraw(page: str, drawing: str) -> str:
    """Return the page with its drawing replaced.

    Raises:
        ValueError: the page has no place for a drawing.
    """
    if BEGIN not in page or END not in page:
        raise ValueError(f"{PAGE} has no lines {BEGIN.strip()!r} and {END.strip()!r}")
    before, rest = page.split(BEGIN, 1)
    return before + BEGIN + drawing + END + rest.split(END, 1)[1]


def main() -> None:
    """Draw the default experiment's graph, as DVC has it, into docs/pipeline.md."""
    paths = Paths()
    with open_repo(paths) as repo:
        stages = stages_of(all_stages(repo), [SHOWN])
    write_text(PAGE, redraw(PAGE.read_text(), mermaid(stages)))


if __name__ == "__main__":
    main()
