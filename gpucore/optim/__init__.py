"""Optimizers whose whole step runs on the device, and learning-rate schedules."""

from .adam import Adam, AdamW
from .base import Optimizer
from .first_order import FirstOrder
from .lbfgs import LBFGS
from .schedules import CosineLR, Schedule, StepLR, WarmupCosineLR
from .sgd import SGD

__all__ = ["LBFGS", "SGD", "Adam", "AdamW", "CosineLR", "FirstOrder", "Optimizer", "Schedule", "StepLR", "WarmupCosineLR"]
