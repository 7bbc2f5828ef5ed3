"""Writes run.json and report.html of an experiment, from whatever of its results is there."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from tasks import regimes, settings
from tasks.artefacts import load_arrays, read_json, write_json, write_text
from tasks.kinds import kind_of
from tasks.monitor import clock
from tasks.paths import Paths
from tasks.refusals import pick
from tasks.report import applied, chains, curves, figures, fills, labels, pictures, plane, run
from tasks.report.sources import sources
from tasks.settings import Params
from tasks.temperatures import temperatures

HERE = Path(__file__).parent
WORST = ("diverging", "collapsed", "saturated", "healthy")


def render(experiment: str, paths: Paths, flow: dict[str, Any] | None = None) -> Path:
    """Write results/NAME/run.json and results/NAME/report.html, and return the page's path.

    What is missing is named on the page, with the command that makes it.

    Args:
        flow: what the flow knows of its run, all optional: `command`, `mlflow_run`,
            `mlflow_parent`, `prefect_run`, and `overrides`, new values by dotted key. It is kept
            in run.json, so it must be JSON.

    Raises:
        SettingsError: params.yaml is wrong, or has no such experiment.
    """
    params = settings.read(paths.params, (flow or {}).get("overrides"))
    pick(params.experiments, experiment, "experiment")
    facts = run.run_facts(experiment, params, paths, flow)
    page = Page(experiment, params, paths, facts)
    html = environment().get_template("template.html").render(page.content())
    write_json(paths.results(experiment) / "run.json", facts)
    target = paths.results(experiment) / "report.html"
    write_text(target, html)
    return target


def environment() -> Environment:
    """Return the templates' environment: everything is escaped."""
    found = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(number=figures.number, spread=figures.spread, title=figures.title)
    found.filters.update(clock=clock, hidden_json=hidden_json)
    return found


def hidden_json(value: Any) -> Markup:
    """Write a value as JSON that may stand in a script element: no character can end it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def size(stem: str) -> int | None:
    """Return the grid of a sheet of samples by its file's name, None of another file."""
    side = stem.removeprefix("grid_")
    return int(side) if side.isdigit() else None


class Page:
    """Gathers what the template shows; `missing` collects what there is not."""

    def __init__(self, name: str, params: Params, paths: Paths, facts: Mapping[str, Any]) -> None:
        self.name, self.paths, self.facts = name, paths, facts
        self.experiment = params.experiments[name]
        self.folder = paths.results(name)
        self.missing: list[dict[str, str]] = []
        self.kind = kind_of(self.experiment.evaluate)

    def content(self) -> dict[str, Any]:
        """Return every name that the template uses."""
        measured = self.figures("metrics.json", "the metrics", "evaluate")
        shown = {
            "name": self.name,
            "facts": self.facts,
            "style": Markup((HERE / "style.css").read_text()),
            "script": Markup((HERE / "script.js").read_text()),
            "metrics": measured,
            "summary": figures.summary(measured["rows"]) if measured else None,
            "verdict": self.verdict(),
            "regime": regimes.regime(self.paths, self.name, self.experiment.train),
            "samples": self.samples(),
            "densities": self.densities(),
            "copies": self.copies(measured),
            "chains": self.chains(),
            "apply": self.applications(),
            "classify": self.few_labels(),
            "stages": self.curves(),
            "settings": yaml.safe_dump(self.facts["settings"], sort_keys=False, width=88),
            "temperatures": [
                (part, chain, value)
                for part, stage in self.experiment.train.items()
                for chain, value in temperatures(stage.model).items()
            ],
            "lineage": sources(self.facts),
        }
        records = {record["label"]: record for record in self.facts["stages"]}
        self.need_records(records)
        return {**shown, "missing": self.missing}

    def try_to(self, make: Callable[[], Any], what: str, stage: str) -> Any:
        """Return what `make` returns; where its file is missing or damaged, note that."""
        try:
            return make()
        except FileNotFoundError as error:
            why = f"{self.short(error.filename)} is not there"
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            why = f"it cannot be read: {self.short(error)}"
        again = f"ebm run {self.name} --only {stage}"
        self.missing.append({"what": what, "why": why, "command": again})
        return None

    def short(self, text: Any) -> str:
        """Return a text with paths as seen from the project's folder."""
        return str(text).replace(f"{self.paths.root}/", "")

    def figures(self, file: str, what: str, stage: str) -> dict[str, Any] | None:
        """Return a file of figures as rows."""
        goals = {k: v.model_dump() for k, v in self.experiment.goals.items()}

        def make() -> dict[str, Any]:
            content = read_json(self.folder / file)
            rows = figures.table(content, goals)
            told = {"protocol": content["protocol"], "content": content}
            return {**told, "rows": rows, "pivot": figures.pivot(rows)}

        return self.try_to(make, what, stage)  # type: ignore[no-any-return]

    def verdict(self) -> dict[str, str] | None:
        """Return the worst verdict of the judge over the training stages, with its evidence."""
        found = [r for r in self.facts["stages"] if r.get("verdict")]
        if not found:
            return None
        order = {name: place for place, name in enumerate(WORST)}
        worst = min(found, key=lambda r: order.get(r["verdict"], 0))
        turns = sum(len(r.get("events") or []) for r in found)
        return {
            "name": worst["verdict"],
            "evidence": str(worst.get("evidence") or ""),
            "turns": f"{turns} rollback{'s' if turns > 1 else ''}" if turns else "",
        }

    def pictures(self, folder: str) -> list[tuple[str, dict[str, Any]]]:
        """Return a folder's pictures, the shortest name first, with their names.

        A picture that is a sheet of samples is cut: of those of its grid, else of the finest.

        Raises:
            FileNotFoundError: there is none.
        """
        place = self.folder / folder
        files = sorted(place.glob("*.png"), key=lambda f: (len(f.stem), f.stem))
        if not files:
            raise FileNotFoundError(2, "no picture", str(place / "*.png"))
        finest = max((size(f.stem) or 0 for f in self.folder.glob("samples/*.png")), default=0)
        return [(f.stem, pictures.embed(f, size(f.stem) or finest)) for f in files]

    def samples(self) -> list[dict[str, Any]]:
        """Return the sheets of samples, from the coarsest grid."""

        def say(stem: str) -> str:
            side = size(stem)
            return f"Grid {side} × {side}" if side else stem.replace("_", " ")

        found = self.try_to(lambda: self.pictures("samples"), "samples", "sample") or []
        return [{**image, "caption": say(stem)} for stem, image in found if stem != "chains"]

    def densities(self) -> list[dict[str, Any]]:
        """Return the pictures that `evaluate` drew; none of images, which have sheets."""
        if not self.kind:
            return []
        found = self.try_to(lambda: self.pictures("evaluate"), "the pictures", "evaluate") or []
        path = self.folder / "samples" / "chains.png"
        if path.exists():
            read = self.try_to(lambda: pictures.embed(path), "the chains", "sample")
            found = [*found, ("chains", read)] if read else found
        return plane.captioned(found)

    def copies(self, measured: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return the samples nearest to training images, with the figure that goes with them."""
        path, rows = self.folder / "evaluate" / "nearest.png", (measured or {"rows": []})["rows"]
        if not path.exists():
            return None
        found = self.try_to(lambda: self.pictures("evaluate"), "the nearest images", "evaluate")
        near = [row for row in rows if row["metric"].startswith("nearest_training")]
        image = dict(found or []).get(path.stem)
        if image is None:
            return None
        legend = fills.nearest(image.get("rows", 0))
        return {"picture": image, "legend": legend, "row": next(iter(near), None)}

    def chains(self) -> list[dict[str, Any]]:
        """Return the chains' states by grid; those of points are a picture."""
        if self.kind:
            return []
        stages = (stage.model.model_dump() for stage in self.experiment.train.values())
        grids = [grid for model in stages for grid in model.get("grids", [])]
        steps = {grid["size"]: grid["steps"] for grid in grids}
        path, keep = self.paths.samples(self.name) / "chains.npz", self.experiment.sample.keep

        def make() -> list[dict[str, Any]]:
            if not path.exists():
                raise FileNotFoundError(2, "no chains", str(path))
            return chains.chains(load_arrays(path), steps, keep)

        return self.try_to(make, "the chains step by step", "sample") or []

    def curves(self) -> list[dict[str, Any]]:
        """Return each training stage's curves; of a run that broke, those up to the break."""
        records = {r.get("part"): r for r in self.facts["stages"] if r["stage"] == "train"}
        shown: list[dict[str, Any]] = []
        grids: list[str] = []
        for part in self.experiment.train:
            path = self.paths.model(self.name, part) / "curves.csv"
            broken = self.paths.work / "broken" / self.name / f"{part}.csv"
            cut = not path.exists() and broken.exists()
            read = broken if cut else path
            found = self.try_to(
                lambda read=read: curves.panels(curves.read_curves(read), grids),  # type: ignore[misc]
                f"the curves of {part}",
                f"train-{part}",
            )
            if found:
                record = records.get(part, {})
                events = record.get("events") or []
                shown.append({"part": part, "broken": cut, "record": record, "events": events})
                shown[-1].update(found)
        return shown

    def few_labels(self) -> dict[str, Any] | None:
        """Return the classifier's figures and their curve; None where it is not asked for."""
        if self.experiment.classify is None:
            return None
        table = self.figures("classify.json", "the classifier's errors", "classify")
        if table is None:
            return None
        curve = labels.curve(table["content"])
        return {"figures": table, "curve": curve, "margins": labels.margins(table["rows"])}

    def applications(self) -> dict[str, Any] | None:
        """Return the applications' figures and pictures; None where none is asked for."""
        asked = self.experiment.apply
        if asked is None:
            return None
        table = self.figures("apply.json", "the applications", "apply")
        found: list[tuple[str, dict[str, Any]]] = []
        if any(name != "moments" for name in asked.asked()):  # all but these have pictures
            found = self.try_to(lambda: self.pictures("apply"), "the pictures of apply", "apply")
        if not (table or found):
            return None
        others = applied.sections(table["rows"] if table else [], found or [], list(asked.asked()))
        return {"figures": table, "pictures": self.fills(table, found or []), "others": others}

    def fills(
        self, table: Mapping[str, Any] | None, found: list[tuple[str, dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        """Return the fill-ins, each with its figures, where inpainting is asked for."""
        asked = self.experiment.apply.inpaint if self.experiment.apply else None
        if asked is None:
            return []
        content = table["content"] if table else None
        return [
            {
                **image,
                "caption": fills.heading(mask),
                "legend": fills.legend(image.get("rows", 0), asked.completions),
                "figures": fills.figures(content, mask),
            }
            for mask, image in found
            if not applied.owner(mask)
        ]

    def need_records(self, records: Mapping[str, Any]) -> None:
        """Note the stages of the experiment that have no record."""
        done = {m["command"] for m in self.missing}
        parts = [("train", part) for part in self.experiment.train]
        parts += [(s, "") for s in run.LATER if getattr(self.experiment, s) is not None]
        for stage, part in parts:
            label = f"{stage}-{part}" if part else stage
            command = f"ebm run {self.name} --only {label}"
            if label not in records and command not in done:
                why = "it did not run on this machine, so its time and device are not known"
                what = f"the record of {label}"
                self.missing.append({"what": what, "why": why, "command": f"{command} --force"})
