"""The process of ebmkit: one JSON request a line, one JSON answer a line. Started by peers.py."""

import json
import sys
from pathlib import Path
from typing import Any

import torch

import ebm

ebm.__path__.append(str(Path(__file__).parents[1] / "ebm"))  # for what ebmkit lacks: the networks

from benchmarks.contenders import bare, ebmkit, seconds  # noqa: E402
from benchmarks.workloads import ALL, Work, work  # noqa: E402

LOADS = {load.name: load for load in ALL}
CONTENDERS = {"bare": bare, "ebmkit": ebmkit}


def main(device: str, threads: str) -> None:
    """Answer until there are no more requests."""
    torch.set_num_threads(int(threads))
    made: dict[tuple[str, int, int, str], Work] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        key = (asked["name"], asked["chains"], asked["steps"], asked["layout"])
        if key not in made:
            load = LOADS[key[0]]._replace(chains=key[1], steps=key[2])
            made[key] = work(load, key[3], device)
        contender = CONTENDERS[asked["contender"]]
        if "changes" in asked:
            answer: dict[str, Any] = {
                "end": contender(made[key]._replace(**asked["changes"])).tolist()
            }
        else:
            answer = {"seconds": seconds(contender, made[key])}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
