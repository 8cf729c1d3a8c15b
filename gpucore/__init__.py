"""gpucore: GPU compute in Python on hand-written WGSL shaders, each verified against a NumPy reference."""

from . import data, errors, kernels, nn, ops, optim, random, train
from .autograd import GradientTape, no_grad
from .device import Device, DeviceInfo, device, devices
from .device.transfer import Readback
from .kernel import KERNELS, Kernel, Launch, Out, kernel
from .memory import VramLimit
from .pipeline import Pipeline
from .tensor import Tensor

__version__ = "0.1.0"

__all__ = [
    "KERNELS", "Device", "DeviceInfo", "GradientTape", "Kernel", "Launch", "Out", "Pipeline", "Readback", "Tensor",
    "VramLimit", "data", "device", "devices", "errors", "kernel", "kernels", "nn", "no_grad", "ops", "optim", "random", "train",
]  # fmt: skip
