"""Stand-ins for the libraries that ours is timed beside: as little of each as is called."""

import zipfile
from pathlib import Path

TORCHEBM = {
    "torchebm/__init__.py": "",
    "torchebm/core.py": "from torch import nn\nclass BaseModel(nn.Module): pass\n",
    "torchebm/samplers.py": """
import torch
class LangevinDynamics:
    def __init__(self, model, step_size, noise_scale, device):
        self.model, self.step_size, self.noise_scale = model, step_size, noise_scale
    def sample(self, x, n_steps, generator):
        for _ in range(n_steps):
            y = x.detach().requires_grad_()
            slope = torch.autograd.grad(self.model(y).sum(), y)[0]
            noise = torch.randn(x.shape, generator=generator)
            x = x - self.step_size * slope + (2 * self.step_size) ** 0.5 * self.noise_scale * noise
        return x
""",
}
EBMKIT = {
    "ebm/__init__.py": "",
    "ebm/samplers/__init__.py": "",
    "ebm/samplers/langevin.py": """
import torch
class LangevinDynamics:
    def __init__(self, step_size, steps, noise_scale):
        self.step_size, self.steps, self.noise_scale = step_size, steps, noise_scale
    def sample(self, energy, x):
        for _ in range(self.steps):
            y = x.detach().requires_grad_()
            slope = torch.autograd.grad(energy(y).sum(), y)[0]
            x = x - self.step_size * slope + self.noise_scale * torch.randn_like(x)
        return x
""",
}
FILES = {"torchebm": TORCHEBM, "ebmkit": EBMKIT}


def distribution(name: str, version: str) -> dict[str, str]:
    """Return the files of a stand-in, its metadata among them."""
    about = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    return {**FILES[name], f"{about}/METADATA": metadata}


def put(folder: Path, name: str, version: str) -> None:
    """Write a stand-in into a folder, as `pip install --target` would."""
    for path, text in distribution(name, version).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def wheel(folder: Path, name: str, version: str) -> None:
    """Write a stand-in as a file that pip installs."""
    files, about = distribution(name, version), f"{name}-{version}.dist-info"
    files[f"{about}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
