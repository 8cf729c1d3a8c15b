"""Operations on tensors; differentiable where that has a meaning. Each family exports what its `__all__` names."""

from .attention import *
from .conv import *
from .elementwise import *
from .linalg import *
from .loss import *
from .norm import *
from .optim import *
from .random import *
from .reduce import *
from .shape import *
from .spline import *
from .spline_jet import *
from .spline_knots import *
from .spline_table import *
