"""Where every artefact lies, relative to the project's folder."""

from pathlib import Path
from typing import NamedTuple


class Paths(NamedTuple):
    """The project's folders."""

    root: Path = Path(".")

    @property
    def params(self) -> Path:
        """The settings."""
        return self.root / "params.yaml"

    @property
    def work(self) -> Path:
        """Scratch, logs and records: untracked, safe to remove while nothing runs."""
        return self.root / ".work"

    def raw(self, source: str) -> Path:
        """The fetched raw data of a source."""
        return self.root / "data" / "raw" / source

    def prepared(self, dataset: str) -> Path:
        """The arrays of a data set, split, and their manifest."""
        return self.root / "data" / "prepared" / dataset

    def reference(self, dataset: str, network: str) -> Path:
        """The features of a data set's real images by a network."""
        return self.root / "data" / "reference" / dataset / network

    def model(self, experiment: str, part: str) -> Path:
        """A trained model's folder."""
        return self.root / "models" / experiment / part

    def samples(self, experiment: str) -> Path:
        """The arrays drawn from a model."""
        return self.root / "samples" / experiment

    def results(self, experiment: str) -> Path:
        """Metrics and pictures: small, in git."""
        return self.root / "results" / experiment

    def record(self, stage: str, name: str, part: str | None = None) -> Path:
        """What the last run of a stage tells of itself, outside what DVC hashes."""
        return self.work / "runs" / name / f"{label(stage, part)}.json"

    def log(self, stage: str, name: str, part: str | None = None) -> Path:
        """What a stage printed when a flow ran it."""
        return self.work / "logs" / name / f"{label(stage, part)}.log"

    def live(self, stage: str, name: str, part: str | None = None) -> Path:
        """Where a running stage stands."""
        return self.work / "live" / name / f"{label(stage, part)}.json"

    def figures(self, stage: str, name: str, part: str | None = None) -> Path:
        """A stage's figures, one JSON object a line, for MLflow."""
        return self.work / "figures" / name / f"{label(stage, part)}.jsonl"


def label(stage: str, part: str | None) -> str:
    """Name a stage within its experiment: train-grid-4."""
    return f"{stage}-{part}" if part else stage
