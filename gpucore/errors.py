"""Every error that gpucore raises on purpose; each message is one sentence: who, what it got, what it wants."""

from __future__ import annotations


class GpucoreError(Exception):
    """The base of all errors below; catching it catches everything gpucore raises on purpose."""


class ShapeError(GpucoreError, ValueError):
    """Shapes, axes or sizes that do not fit together."""


class DTypeError(GpucoreError, TypeError):
    """A dtype that an operation does not take, or values that do not fit the dtype."""


class DeviceMismatchError(GpucoreError, ValueError):
    """Tensors of different devices in one operation."""


class OutOfVramError(GpucoreError, MemoryError):
    """An allocation that would pass the device's memory limit; raised before anything is allocated."""


class ShaderError(GpucoreError):
    """A shader that does not compile; carries the file, the line and the offending text."""

    def __init__(self, message: str, file: str = "", line: int = 0, text: str = "") -> None:
        super().__init__(message)
        self.file, self.line, self.text = file, line, text


class DeviceLostError(GpucoreError):
    """The adapter went away (driver reset, device destroyed); open the device anew and upload again."""


class NoAdapterError(GpucoreError):
    """No adapter matches the request."""


class RecordingError(GpucoreError):
    """Something inside a recorded pipeline that a replay could not repeat."""


class GradientError(GpucoreError):
    """A gradient was asked for through an operation that has none."""


class FormatError(GpucoreError, ValueError):
    """A file that is truncated, foreign, or of a version this build does not know."""


class ConfigError(GpucoreError, ValueError):
    """A setting outside its range."""


class KernelDeclarationError(GpucoreError):
    """A kernel declared without its reference, cases or cost, or at odds with its shader."""
