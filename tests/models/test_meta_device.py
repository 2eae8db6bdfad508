"""Every network of the package where no tensor is: on a device that only knows shapes.

What is made on another device, and what waits for the device, fails there as on a GPU.
"""

import importlib
import inspect
import pkgutil

import pytest
import torch
from one_device import OneDevice
from torch import nn

from t2i_utils import models
from t2i_utils.models.stackgan import Stage1Generator, Stage2Generator

SMALL = dict(embed_dim=6, text_dim=5, width=4, image_size=16)
PICTURES, EMBEDDING, Z = (2, 3, 16, 16), (2, 6), (2, 7)
with torch.device("meta"):
    STAGES = Stage1Generator(3, 6, 4, 4, 16), Stage2Generator(6, 4, 4, 16, 64, 1)
    LAYERS = nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
# network: (its arguments, the shapes of what it is given; a list: numbers below its last entry)
NETWORKS = {
    "augmentation.AugmentedGenerator": ((3, 6, 4, 4, 16), [Z, EMBEDDING]),
    "augmentation.ConditioningAugmentation": ((6, 4), [EMBEDDING]),
    "beyond_stackgan.ConditionalBatchNorm": ((4, 6), [(2, 4, 8, 8), EMBEDDING]),
    "beyond_stackgan.UpBlock": ((4, 3, 6), [(2, 4, 8, 8), EMBEDDING]),
    "beyond_stackgan.Generator": (SMALL | {"z_dim": 7}, [Z, EMBEDDING]),
    "beyond_stackgan.Discriminator": ((6, 5, 4, 16), [PICTURES, EMBEDDING]),
    "char_cnn_rnn.CharCNNRNN": ((6, (8, 9, 10), 7), [[2, 201, 70]]),
    "char_cnn_rnn.PictureEncoder": ((6, 2, 16), [(2, 3, 8, 8)]),
    "dcgan.Generator": ((7, 4, 16), [Z]),
    "dcgan.Discriminator": ((4, 16), [PICTURES]),
    "gan_cls.Generator": (SMALL | {"z_dim": 7}, [Z, EMBEDDING]),
    "gan_cls.Discriminator": (SMALL, [PICTURES, EMBEDDING]),
    "recomputing.Doubling": (LAYERS, [PICTURES]),
    "recomputing.Recomputed": (LAYERS, [PICTURES]),
    "stackgan.Discriminator": (SMALL | {"image_size": 128}, [(2, 3, 128, 128), EMBEDDING]),
    "stackgan.Residual": ((nn.BatchNorm2d(4, device="meta"),), [(2, 4, 8, 8)]),
    "stackgan.StackGAN": (STAGES, [(2, 3 + 4 + 4), EMBEDDING]),
    "stackgan.Stage1Generator": ((3, 6, 4, 4, 16), [Z, EMBEDDING]),
    "stackgan.Stage2Generator": ((6, 4, 4, 16, 64, 1), [PICTURES, (2, 4), EMBEDDING]),
    "stackgan.Start": ((7, 4), [(2, 7, 1, 1)]),
}
# Weights of a part that the whole leaves to another method.
UNUSED = {"beyond_stackgan.Discriminator": ("look.",), "stackgan.StackGAN": ("stage1.",)}


def networks():
    """Every network that a module of t2i_utils.models defines, by its name there."""
    found = {}
    for module in pkgutil.iter_modules(models.__path__):
        held = vars(importlib.import_module(f"{models.__name__}.{module.name}"))
        for name, value in held.items():
            if inspect.isclass(value) and issubclass(value, nn.Module) \
                    and value.__module__.endswith(f".{module.name}"):  # fmt: skip
                found[f"{module.name}.{name}"] = value
    return found


def given(shape):
    if isinstance(shape, list):
        return torch.randint(shape[-1], shape[:-1])
    return torch.randn(shape)


def test_every_network_is_tried():
    assert networks().keys() == NETWORKS.keys()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_runs_where_no_tensor_is(name, training):
    arguments, shapes = NETWORKS[name]
    kind = networks()[name]
    with torch.device("meta"):
        network = kind(**arguments) if isinstance(arguments, dict) else kind(*arguments)
        inputs = [given(shape) for shape in shapes]
    assert all(t.is_meta for t in network.state_dict().values()), "a tensor was made elsewhere"
    with OneDevice():
        output = network.train(training)(*inputs)
        outputs = output if isinstance(output, tuple) else (output,)
        torch.cat([one.flatten() for one in outputs]).mean().backward()
    assert all(one.is_meta for one in outputs)
    for weight, p in network.named_parameters():
        assert p.grad is not None or weight.startswith(UNUSED.get(name, ())), weight
