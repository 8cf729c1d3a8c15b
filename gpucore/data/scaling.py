"""Bringing features to a common scale with what the training data tell."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError, FormatError, ShapeError


class Standardiser:
    """(x - mean) / standard deviation per feature, the last axis, fitted on training data alone.

    A feature that never changes keeps its distance to the mean (it is divided by 1), so that it survives without
    NaN. Computed in float64, given back as float32.
    """

    def __init__(self) -> None:
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None

    def fit(self, x: Any) -> Standardiser:
        """Takes mean and standard deviation from x [..., features]; all axes but the last are samples."""
        values = np.asarray(x, np.float64)
        if values.ndim < 2 or values.size == 0:
            raise ShapeError(f"Standardiser.fit: got shape {values.shape}; wants [samples, ..., features] with at least one sample")
        rows = values.reshape(-1, values.shape[-1])
        bad = ~np.isfinite(rows).all(axis=1)
        if bad.any():
            raise ConfigError(f"Standardiser.fit: sample {int(np.argmax(bad))} holds NaN or infinity; wants finite numbers")
        self.mean = rows.mean(axis=0)
        spread = rows.std(axis=0)
        # Of a constant column rounding leaves a spread of about the mean's own rounding error: that is no scale.
        still = spread <= 1e-12 * np.maximum(1.0, np.abs(self.mean))
        still |= (rows == rows[:1]).all(axis=0)
        self.std = np.where(still, 1.0, spread)
        return self

    def transform(self, x: Any) -> np.ndarray:
        """x on the common scale, float32."""
        mean, std = self._fitted(x, "transform")
        return np.asarray((np.asarray(x, np.float64) - mean) / std, np.float32)

    def inverse(self, x: Any) -> np.ndarray:
        """Back to the original scale, float32."""
        mean, std = self._fitted(x, "inverse")
        return np.asarray(np.asarray(x, np.float64) * std + mean, np.float32)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Mean and standard deviation, to be kept beside a model."""
        if self.mean is None or self.std is None:
            raise ConfigError("Standardiser.state_dict: not fitted yet; call fit with the training data")
        return {"mean": self.mean.copy(), "std": self.std.copy()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Takes over what `state_dict` gave; FormatError when it is something else."""
        if set(state) != {"mean", "std"} or np.shape(state["mean"]) != np.shape(state["std"]) or np.ndim(state["mean"]) != 1:
            raise FormatError(
                f"Standardiser.load_state_dict: got {', '.join(sorted(state)) or 'nothing'}; wants mean and std, one number per feature"
            )
        self.mean, self.std = np.array(state["mean"], np.float64), np.array(state["std"], np.float64)

    def _fitted(self, x: Any, who: str) -> tuple[np.ndarray, np.ndarray]:
        if self.mean is None or self.std is None:
            raise ConfigError(f"Standardiser.{who}: not fitted yet; call fit with the training data")
        if np.ndim(x) == 0 or np.shape(x)[-1] != len(self.mean):
            raise ShapeError(f"Standardiser.{who}: got shape {np.shape(x)}; wants {len(self.mean)} features along the last axis")
        return self.mean, self.std
