"""Training: the loop, its history, its checkpoints."""

from .checkpoint import Checkpoint
from .early_stopping import EarlyStopping
from .history import History
from .metrics import accuracy
from .progress import Bar, Lines, Silent
from .scalars import ScalarLog, TrainingDivergedError
from .trainer import Trainer, evaluation_step, train_step

__all__ = [
    "Bar", "Checkpoint", "EarlyStopping", "History", "Lines", "ScalarLog", "Silent", "Trainer", "TrainingDivergedError",
    "accuracy", "evaluation_step", "train_step",
]  # fmt: skip
