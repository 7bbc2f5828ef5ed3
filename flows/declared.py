"""python -m flows.declared: take into dvc.lock what stages newly declare of the code.

A stage that declares one more module would run again, though nothing that it made has changed: what
was made without a module does not depend on it. So where dvc.lock knows a stage, and not the
REVISION of a file that dvc.yaml declares for it, the REVISION of now is written down. REVISIONs
that dvc.lock knows are left as they are: a change of these is a change of results.
"""

from typing import Any

import yaml
from dvc.repo import Repo

from flows import lockfile
from tasks.artefacts import write_text
from tasks.paths import Paths


def declared(paths: Paths) -> dict[str, dict[str, dict[str, Any]]]:
    """Return by stage the files of code that it declares, each with its REVISION now."""
    with Repo(str(paths.root)) as repo:
        return {
            stage.addressing: {
                str(place.relative_to(paths.root.resolve()).as_posix()): dict(found)
                for dependency in stage.params
                if (place := paths.root.resolve() / dependency.fs_path).suffix == ".py"
                and (found := dependency.read_params())
            }
            for stage in repo.index.stages
        }


def take_in(paths: Paths) -> list[str]:
    """Complete dvc.lock; return what was added, a line each."""
    entries, added = lockfile.entries(paths), []
    for stage, files in declared(paths).items():
        known = entries[stage].setdefault("params", {}) if stage in entries else files
        for file, values in files.items():
            if file not in known:
                known[file] = values
                added.append(f"{stage}: {file}")
    if added:
        content = yaml.safe_dump({"schema": "2.0", "stages": entries}, sort_keys=False)
        write_text(paths.root / "dvc.lock", content)
    return added


if __name__ == "__main__":
    for line in take_in(Paths()):
        print(line)
