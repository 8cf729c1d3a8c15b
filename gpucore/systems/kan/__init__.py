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
from .classifying import Classified, classify
from .config import PRESETS, KanConfig
from .derivatives import Jet
from .discovery import TARGETS, Found, Target, discover
from .explaining import Explanation, explain
from .fitting import fit
from .full_batch import FullBatch, fit_lbfgs
from .functions import CASES, FunctionCase, Regression
from .grid import Grid
from .layer import KanLayer
from .library import LIBRARY
from .losses import LOSSES, KanLoss, coefficient_entropy, l1_sparsity, r2, roughness
from .memory import MemoryEstimate
from .network import KanNetwork, OutOfRange
from .optimizers import OPTIMIZERS, make_optimizer
from .pde import PdeLoss, laplacian, pde_residual
from .poisson import Poisson
from .poker import PokerLoss, action_probabilities
from .prediction import predict
from .pruning import Pruned
from .refinement import Attempt, Problem, Schedule, Stage, race
from .symbolic import EdgeFit, Suggestion, Suggestions
from .tables import TableFit, TableFormula, TableSettings, TableTraining
from .training import KanStep

__all__ = [
    "CASES", "LIBRARY", "LOSSES", "OPTIMIZERS", "PRESETS", "TARGETS", "AdaptiveGrid", "Attempt", "BakedError", "BakedKan",
    "Classified", "EdgeFit", "Explanation", "Found", "FullBatch", "FunctionCase", "Grid", "Jet", "KanConfig", "KanLayer", "KanLoss",
    "KanNetwork", "KanStep", "MemoryEstimate", "OutOfRange", "PdeLoss", "Poisson", "PokerLoss", "Problem", "Pruned", "Regression",
    "Schedule", "Stage", "Suggestion", "Suggestions", "TableFit", "TableFormula", "TableSettings", "TableTraining", "Target",
    "action_probabilities", "classify", "coefficient_entropy", "discover", "edge_l1", "explain", "fit", "fit_lbfgs", "l1_sparsity",
    "laplacian", "make_optimizer", "pde_residual", "predict", "r2", "race", "roughness",
]  # fmt: skip
