from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from gpucore.errors import ConfigError
from gpucore.systems import kan

FAULTS = [
    (dict(input_dim=0), "input_dim is 0"), (dict(input_dim=True), "input_dim is True"), (dict(input_dim=2.5), "input_dim is 2.5"),
    (dict(hidden_dims=(4, 0)), r"hidden_dims\[1\] is 0"), (dict(hidden_dims=5), "hidden_dims is 5"),
    (dict(output_dim=-1), "output_dim is -1"), (dict(degree=0), "degree is 0"), (dict(degree=7), "degree is 7"),
    (dict(grid_size=1), "grid_size is 1"),
    (dict(grid_size=65), "grid_size is 65; wants a whole number from 2 to 64"), (dict(grid_range=(1, -1)), "low end first"),
    (dict(grid_range=(0, np.nan)), "two finite numbers"), (dict(grid_range=3), "two finite numbers"),
    (dict(grid_range=(0, 1e-7)), "1e-6 apart"),
    (dict(std=0), "std is 0"), (dict(std=(1, -1)), r"std\[1\] is -1"), (dict(mean=(1, 2, 3)), "mean has 3 numbers for 2 inputs"),
    (dict(mean=np.inf), "mean is inf"), (dict(base="relu"), "base is 'relu'"), (dict(seed=-1), "seed is -1"),
    (dict(input_dim=10**6, hidden_dims=(10**6,)), "parameters; wants at most"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "sentence"), FAULTS, ids=[str(f[0]) for f in FAULTS])
def test_every_fault_has_its_sentence(fault, sentence):
    with pytest.raises(ConfigError, match=sentence) as caught:
        kan.KanConfig(**{"input_dim": 2, **fault})
    assert "\n" not in str(caught.value)


def test_a_configuration_is_frozen_and_goes_through_json():
    config = kan.KanConfig(3, [4, 5], 2, mean=[0, 1, 2], std=0.5, base="silu", seed=7)
    assert config.widths == (3, 4, 5, 2)
    assert config.basis_size == 8
    again = kan.KanConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    with pytest.raises(FrozenInstanceError):
        config.degree = 2
    with pytest.raises(ConfigError, match="unknown names colour"):
        kan.KanConfig.from_dict({"input_dim": 1, "colour": "red"})
    with pytest.raises(ConfigError, match="no input_dim"):
        kan.KanConfig.from_dict({})


@pytest.mark.parametrize("name", list(kan.PRESETS))
def test_presets(name):
    config = kan.KanConfig.preset(name, seed=3)
    assert config.seed == 3
    assert config.parameter_count() > 0


def test_the_named_networks():
    assert kan.KanConfig.preset("arkan").widths == (21, 64, 64, 24)
    assert kan.KanConfig.preset("mnist").widths == (784, 64, 10)
    with pytest.raises(ConfigError, match="preset is 'huge'"):
        kan.KanConfig.preset("huge")


@pytest.mark.parametrize("base", [None, "silu"])
def test_parameters_are_counted_before_they_are_made(cpu, base):
    config = kan.KanConfig(3, (5, 2), 4, grid_size=7, degree=2, base=base)
    edges = 3 * 5 + 5 * 2 + 2 * 4
    assert config.parameter_count() == edges * (9 + (base is not None)) + 11
    network = kan.KanNetwork(config, device=cpu)
    assert network.parameter_count() == config.parameter_count()
    assert network.refine(14).parameter_count() == edges * (16 + (base is not None)) + 11


def test_standardized_takes_what_the_samples_say():
    x = np.random.default_rng(0).normal((1, -5), (2, 0.1), (500, 2))
    x[:, 1] = 4
    config = kan.KanConfig(2).standardized(x)
    assert config.mean == pytest.approx(x.mean(axis=0))
    assert config.std == pytest.approx((x[:, 0].std(), 1.0))
    with pytest.raises(ConfigError, match="samples have shape"):
        kan.KanConfig(3).standardized(x)
