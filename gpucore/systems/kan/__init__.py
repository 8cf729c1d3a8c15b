"""Kolmogorov-Arnold networks: every edge of a layer carries a spline that is learned (Liu et al., arXiv 2404.19756).

config = kan.KanConfig(2, (5,), 1, grid_size=5, degree=3, grid_range=(-1, 1))
network = kan.KanNetwork(config)
kan.fit(network, x, y, epochs=20)
network.refine(20)
network.save("network.safetensors")
"""

from .activations import edge_l1
from .adaptive import AdaptiveGrid
from .baked import BakedError, BakedKan
from .config import PRESETS, KanConfig
from .derivatives import Jet
from .explaining import Explanation, explain
from .fitting import fit
from .full_batch import FullBatch, fit_lbfgs
from .grid import Grid
from .layer import KanLayer
from .library import LIBRARY
from .losses import LOSSES, KanLoss, coefficient_entropy, l1_sparsity, r2, roughness
from .memory import MemoryEstimate
from .network import KanNetwork, OutOfRange
from .optimizers import OPTIMIZERS, make_optimizer
from .pde import PdeLoss, laplacian, pde_residual
from .poker import PokerLoss, action_probabilities
from .pruning import Pruned
from .refinement import Attempt, Schedule, race
from .symbolic import EdgeFit, Suggestion, Suggestions
from .training import KanStep

__all__ = [
    "LIBRARY", "LOSSES", "OPTIMIZERS", "PRESETS", "AdaptiveGrid", "Attempt", "BakedError", "BakedKan", "EdgeFit", "Explanation",
    "FullBatch", "Grid", "Jet", "KanConfig", "KanLayer", "KanLoss", "KanNetwork", "KanStep", "MemoryEstimate", "OutOfRange", "PdeLoss",
    "PokerLoss", "Pruned", "Schedule", "Suggestion", "Suggestions", "action_probabilities", "coefficient_entropy", "edge_l1", "explain",
    "fit", "fit_lbfgs", "l1_sparsity", "laplacian", "make_optimizer", "pde_residual", "r2", "race", "roughness",
]  # fmt: skip
