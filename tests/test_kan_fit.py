from __future__ import annotations

import numpy as np
import pytest

import gpucore as gc
from gpucore import optim, train
from gpucore.data import ArrayDataset, Batches
from gpucore.errors import ConfigError, DTypeError, FormatError, ShapeError
from gpucore.systems import kan

CONFIG = kan.KanConfig(2, (5,), 1, seed=1, grid_range=(-1.5, 1.5))


def problem(n=64, seed=0):
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 2)).astype(np.float32)
    return x, np.exp(np.sin(np.pi * x[:, :1]) + x[:, 1:] ** 2).astype(np.float32)


def make(device, config=CONFIG, **options):
    return kan.KanNetwork(config, device=device, **options)


def same(network, state):
    return all(np.array_equal(v, state[k]) for k, v in network.state_dict().items())


def test_fit_learns_and_keeps_its_history(gpu, tmp_path):
    network, (x, y) = make(gpu), problem(256)
    held = problem(100, seed=9)
    history = kan.fit(
        network, x, y, epochs=12, batch_size=64, lr=0.03, max_grad_norm=5.0, validation=held, metrics={"r2": kan.r2},
        early_stopping=train.EarlyStopping(12), checkpoint_dir=tmp_path, progress=train.Silent(),
    )  # fmt: skip
    assert history.names[:5] == ["epoch", "step", "loss", "val_loss", "val_r2"]
    assert history["val_r2"][-1] > 0.8
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    got = network(held[0]).numpy()
    assert history["val_loss"][-1] == pytest.approx(((got - held[1]) ** 2).mean(), rel=1e-4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.safetensors", "last.safetensors"]


def test_an_interrupted_training_goes_on_bit_for_bit(gpu, tmp_path):
    x, y = problem(100)
    whole, broken = make(gpu), make(gpu)
    kan.fit(whole, x, y, epochs=4, seed=3)
    kan.fit(broken, x, y, epochs=2, seed=3, checkpoint_dir=tmp_path)
    again = make(gpu)
    history = kan.fit(again, x, y, epochs=4, seed=3, checkpoint_dir=tmp_path, resume=True)
    assert len(history) == 4
    assert same(again, whole.state_dict())
    with pytest.raises(FormatError):
        kan.fit(make(gpu, kan.KanConfig(2, (3,), 1)), x, y, epochs=5, checkpoint_dir=tmp_path, resume=True)


def test_early_stopping(gpu):
    x, y = problem(64)
    history = kan.fit(make(gpu), x, y, epochs=50, lr=0.0, validation=(x, y), early_stopping=train.EarlyStopping(3))
    assert len(history) == 4


@pytest.mark.parametrize("name", ["gpu", "cpu"])
def test_classes_with_and_without_a_mask(name, request):
    device = request.getfixturevalue(name)
    x = problem(120)[0]
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    network = make(device, kan.KanConfig(2, (), 3, base="silu"))
    history = kan.fit(network, x, y, loss="cross_entropy", epochs=25, lr=0.05, validation=(x, y))
    assert history["val_accuracy"][-1] > 0.9
    wrong = np.where(np.arange(120) < 60, 99, y)
    mask = (np.arange(120) >= 60).astype(np.float32)
    masked, plain = make(device, network.config), make(device, network.config)
    a = kan.fit(masked, x, wrong, loss="cross_entropy", mask=mask, epochs=3, batch_size=120)
    b = kan.fit(plain, x[60:], y[60:], loss="cross_entropy", epochs=3, batch_size=120)
    assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)


def test_masked_regression_with_holes(gpu):
    x, y = problem(64)
    holes = y.copy()
    holes[::2] = np.nan
    masked, plain = make(gpu), make(gpu)
    loss = kan.KanLoss("huber", l1=1e-3)
    a = kan.fit(masked, x, holes, mask=np.isfinite(holes), loss=loss, epochs=3, batch_size=64, validation=(x, y))
    b = kan.fit(plain, x[1::2], y[1::2], loss=loss, epochs=3, batch_size=64, validation=(x, y))
    assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
    assert a["val_loss"] == pytest.approx(b["val_loss"], rel=1e-4)
    term = 1e-3 * sum(kan.l1_sparsity(layer.coefficients).item() for layer in masked.layers)
    assert a["val_loss"][-1] == pytest.approx(loss(masked, masked(x), gpu.tensor(y)).item() - term, rel=1e-4)
    with pytest.raises(ConfigError, match="validation has a mask and the training data have none"):
        kan.fit(plain, x, y, epochs=1, validation=(x, y, np.ones_like(y)))


def test_batches_of_ones_own(gpu, monkeypatch):
    x, y = problem(64)
    a, b, c, d = (make(gpu) for _ in range(4))
    kan.fit(a, x, y, epochs=2, batch_size=16, seed=5)
    kan.fit(b, Batches(ArrayDataset(x, y), 16, seed=5, device=gpu), epochs=2)
    kan.fit(c, x, y, epochs=2, batch_size=16, seed=5, resident=False)
    monkeypatch.setattr(gc.ops, "take", None)  # what gathers batches from data on the device
    monkeypatch.setattr("gpucore.systems.kan.fitting.RESIDENT_BYTES", 8 * 64 - 1)  # one byte less than x takes
    kan.fit(d, x, y, epochs=2, batch_size=16, seed=5)
    for network in (b, c, d):
        assert same(a, network.state_dict())


def test_fit_checks_everything_first(gpu):
    network, (x, y) = make(gpu), problem(8)
    before = network.state_dict()
    holed = x.copy()
    holed[2, 0] = np.nan
    for given, error, sentence in (
        (dict(x=x[:, :1], y=y), ShapeError, r"KanNetwork\.fit: x has shape \(8, 1\)"),
        (dict(x=holed, y=y), DTypeError, "row 2, column 0 of x is nan"), (dict(x=x, y=y[:3]), ShapeError, r"y has shape \(3, 1\)"),
        (dict(x=x), ConfigError, "x without y"),
        (dict(x=x[:0], y=y[:0]), ShapeError, "empty"), (dict(x=x, y=y, mask=y[:3]), ShapeError, "the mask has shape"),
        (dict(x=x + 5, y=y), ConfigError, r"no value of x lies inside the first grid \(-1\.5, 1\.5\), they run from 4\.\d+ to"),
        (dict(x=x, y=y, validation=(x, y, y, y)), ConfigError, "validation has 4 parts"),
        (dict(x=x, y=y, validation=(x, y[:3])), ShapeError, "validation: y has shape"),
        (dict(x=x, y=y, batch_size=0), ConfigError, "batch_size is 0"),
        (dict(x=x, y=y, optimizer="lion"), ConfigError, "optimizer is 'lion'"),
    ):  # fmt: skip
        with pytest.raises(error, match=sentence):
            kan.fit(network, given.pop("x"), given.pop("y", None), epochs=1, **given)
    with pytest.raises(ConfigError, match="x without y"):
        kan.fit(network, gpu.tensor(x), epochs=1)
    with pytest.raises(ConfigError, match="the network is float64 and batches are float32"):
        kan.fit(make(gc.device("cpu"), dtype="float64"), x, y, epochs=1)
    assert same(network, before)
    shifted = kan.KanNetwork(kan.KanConfig(2, (5,), 1).standardized(x + 5), device=gpu)
    kan.fit(shifted, x + 5, y, epochs=1)


def test_a_sinusoid(gpu):
    """The line of the specification: mean square error below 1e-5."""
    x = np.linspace(-1, 1, 200, dtype=np.float32)[:, None]
    y = np.sin(np.pi * x)
    network = make(gpu, kan.KanConfig(1, (), 1, grid_size=16, seed=0))
    steps = 400
    kan.fit(network, x, y, epochs=steps, batch_size=200, lr=0.05, schedule=optim.CosineLR(0.05, steps))
    assert ((network(x).numpy() - y) ** 2).mean() < 1e-5
