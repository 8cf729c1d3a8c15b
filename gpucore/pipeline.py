"""Record once, replay as one submission."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, NamedTuple

import numpy as np

from .array import Array
from .device import Device, device
from .device.gpu import GpuDevice
from .device.recording import Recording
from .dtypes import as_dtype
from .errors import ConfigError, DeviceMismatchError, RecordingError
from .kernel import Mirror

MAX_SHAPES = 16


class Difference(NamedTuple):
    """How far an output (or a changed tensor) is from the reference: its name, maximum absolute difference, relative L2."""

    name: str
    max_abs: float
    relative_l2: float


class _Recorded(NamedTuple):
    recording: Recording
    inputs: list[Array]
    outputs: list[Array]
    single: bool


class Pipeline:
    """A function of tensors that is recorded at its first call for given shapes and replayed afterwards.

    The function may capture tensors (parameters, optimizer state) and change them in place through operations that
    do so. It must do the same work each time: Python's own values (a learning rate, a step count) are frozen at the
    recording, so what changes between calls is passed as a tensor or lives in one. Reading a tensor inside raises
    RecordingError. Results are fresh tensors, not overwritten by later calls. On the NumPy device the function is
    simply called.

    max_shapes: recordings kept, one for each combination of input shapes and dtypes; each holds its own memory. A call
    with yet another one raises RecordingError and says what to do; 1 pins the shapes to those of the first call.
    """

    def __init__(self, fn: Callable[..., Any], *, max_shapes: int = MAX_SHAPES) -> None:
        if max_shapes < 1:
            raise ConfigError(f"Pipeline: max_shapes is {max_shapes}; wants at least 1")
        self.fn, self.max_shapes = fn, max_shapes
        self._recorded: dict[Any, _Recorded] = {}
        if hasattr(fn, "__name__"):
            update_wrapper(self, fn)

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.fn, "__name__", "pipeline")

    def __call__(self, *inputs: Array) -> Any:
        """Runs the function on these tensors: records when their shapes are new, else replays."""
        if Mirror.active is not None:  # inside another one's verify: some inputs are that run's copies on the NumPy device
            return self.fn(*inputs)
        target = self._device(inputs)
        if not isinstance(target, GpuDevice) or target.recording is not None:
            return self.fn(*inputs)  # inside another recording it becomes part of that one
        key = (id(target), *[(t.shape, t.dtype) for t in inputs])
        recorded = self._recorded.get(key)
        if recorded is None:
            self._check_shapes(inputs)
            recorded = self._recorded[key] = self._record(target, inputs)
        results = [target._empty(t.shape, t.dtype, "") for t in recorded.outputs]
        recorded.recording.replay(list(zip(inputs, recorded.inputs, strict=True)), list(zip(recorded.outputs, results, strict=True)))
        if not recorded.outputs:
            return None
        return results[0] if recorded.single else tuple(results)

    def takes(self, *inputs: Array) -> bool:
        """Whether a call with these tensors is replayed, or may be recorded: False where it would be one recording too many."""
        if Mirror.active is not None or len(self._recorded) < self.max_shapes:
            return True
        return (id(self._device(inputs)), *[(t.shape, t.dtype) for t in inputs]) in self._recorded

    def _check_shapes(self, inputs: tuple[Array, ...]) -> None:
        if len(self._recorded) < self.max_shapes:
            return
        shapes = [" and ".join(str(shape) for shape, _ in key[1:]) for key in self._recorded]
        held = ", ".join(shapes[:3]) + (f" and {len(shapes) - 3} more" if len(shapes) > 3 else "")
        raise RecordingError(
            f"Pipeline {self.name}: got inputs of {' and '.join(str(t.shape) for t in inputs)} and holds recordings for {held}, "
            f"max_shapes={self.max_shapes} of them: pad the inputs to one of these, call the function itself, or allow more"
        )

    def _device(self, inputs: tuple[Any, ...]) -> Device:
        for t in inputs:
            if not isinstance(t, Array):
                raise RecordingError(
                    f"Pipeline {self.name}: got {type(t).__name__} as an input; wants tensors, since a recorded number would never change"
                )
        found = {t.device for t in inputs}
        if len(found) > 1:
            raise DeviceMismatchError(f"Pipeline {self.name}: inputs are on {', '.join(d.name for d in found)}; wants one device")
        return inputs[0].device if inputs else device()

    def _record(self, target: GpuDevice, inputs: tuple[Array, ...]) -> _Recorded:
        held = [target._empty(t.shape, t.dtype, t.name) for t in inputs]
        recording = target.begin_recording()
        try:
            result = self.fn(*held)
        finally:
            target.end_recording()
        for t in held:
            if id(t.storage) in recording.written:
                raise RecordingError(
                    f"Pipeline {self.name}: changes its input {t.describe()} in place, which the caller would not see; "
                    "capture the tensor instead"
                )
        outputs = [] if result is None else list(result) if isinstance(result, tuple | list) else [result]
        for t in outputs:
            if not isinstance(t, Array):
                raise RecordingError(f"Pipeline {self.name}: returned {type(t).__name__}; wants tensors")
        recording.seal(held, outputs)
        return _Recorded(recording, held, outputs, isinstance(result, Array))

    @property
    def dispatches(self) -> int:
        """Kernel launches in one replay of the latest recording; 0 before the first."""
        return list(self._recorded.values())[-1].recording.dispatches if self._recorded else 0

    def verify(self, *inputs: Array, dtype: Any = "float64") -> list[Difference]:
        """Runs the function on the NumPy device as well and returns the differences, per output and changed tensor.

        The reference run works on copies, in float64 unless told otherwise, of the inputs and of every tensor that
        the function captures; then the real run happens, once, with its usual effects.
        """
        oracle = device("cpu")
        with Mirror(oracle, as_dtype(dtype)) as mirror:
            expected = self.fn(*inputs)
        wanted = [] if expected is None else list(expected) if isinstance(expected, tuple | list) else [expected]
        before = {id(original.storage): original.numpy() for original, _ in mirror.changed()}
        result = self(*inputs)
        got = [] if result is None else list(result) if isinstance(result, tuple | list) else [result]
        found = [_difference(f"output {i}", g.numpy(), w.numpy()) for i, (g, w) in enumerate(zip(got, wanted, strict=True))]
        for i, (original, copy) in enumerate(mirror.changed()):
            now, reference = original.numpy(), copy.numpy()
            start = before[id(original.storage)]
            if not np.array_equal(now, start, equal_nan=True) or not np.array_equal(reference.astype(start.dtype), start, equal_nan=True):
                found.append(_difference(original.name or f"state {i} {original.shape}", now, reference))
        return found


def _difference(name: str, got: np.ndarray, want: np.ndarray) -> Difference:
    a, b = got.astype(np.float64), want.astype(np.float64)
    gap = np.abs(a - b)
    scale = float(np.linalg.norm(b))
    return Difference(name, float(gap.max(initial=0.0)), float(np.linalg.norm(gap)) / scale if scale else float(np.linalg.norm(gap)))
