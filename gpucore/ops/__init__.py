"""Operations on tensors; differentiable where that has a meaning. Each family exports what its `__all__` names."""

from .elementwise import *
from .reduce import *
from .shape import *
from .linalg import *
from .norm import *
from .attention import *
from .conv import *
from .spline import *
from .loss import *
from .optim import *
from .random import *
