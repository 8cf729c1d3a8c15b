"""Layers: a Module has parameters and a forward function."""

from .activation import GELU, Flatten, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from .attention import MultiHeadAttention
from .conv import AvgPool2d, Conv1d, Conv2d, GlobalAvgPool2d, MaxPool2d
from .init import INITS, draw
from .linear import Embedding, Linear
from .module import Module
from .norm import BatchNorm1d, Dropout, LayerNorm, RMSNorm
from .parameter import Parameter, parameter
from .sequential import Sequential

__all__ = [
    "GELU", "INITS", "AvgPool2d", "BatchNorm1d", "Conv1d", "Conv2d", "Dropout", "Embedding", "Flatten", "GlobalAvgPool2d",
    "LayerNorm", "LeakyReLU", "Linear", "MaxPool2d", "Module", "MultiHeadAttention", "Parameter", "RMSNorm", "ReLU",
    "Sequential", "SiLU", "Sigmoid", "Softplus", "Tanh", "draw", "parameter",
]  # fmt: skip
