"""torchvision beside a torch of another build.

The registry's torchvision wheel is built for CUDA; beside the CPU build of torch its compiled
operators are missing and the import stops at their declaration. Declaring the two operators that
it asks for lets transforms, models, datasets and grids work. Where the two builds match, nothing
is done.
"""

import sys

import torch

try:
    import torchvision
except RuntimeError as error:
    if "torchvision::nms" not in str(error):
        raise
    for module in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[module]
    LIBRARY = torch.library.Library("torchvision", "FRAGMENT")  # kept, or the operators go
    LIBRARY.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    LIBRARY.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

from torchvision.utils import make_grid

__all__ = ["make_grid", "torchvision"]
