from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient

import gpucore as gc
from gpucore.errors import ConfigError
from gpucore.systems import kan

RNG = np.random.default_rng(5)
OUT, TARGET = RNG.normal(0, 1.5, (6, 3)), RNG.normal(0, 1.5, (6, 3))
SHARE, HIT = RNG.uniform(0.05, 0.95, (6, 3)), RNG.integers(0, 2, (6, 3)).astype(float)
LABELS = np.array([0, 2, 1, 1, 0, 2], np.int32)
MASK = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0.5, 0, 2], [1, 0, 0], [0, 1, 0]])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def log_softmax(x):
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


EACH = {
    "mse": (OUT, TARGET, lambda p, t: (p - t) ** 2), "rmse": (OUT, TARGET, lambda p, t: (p - t) ** 2),
    "mae": (OUT, TARGET, lambda p, t: abs(p - t)),
    "huber": (OUT, TARGET, lambda p, t: np.where(abs(p - t) <= 1, (p - t) ** 2 / 2, abs(p - t) - 0.5)),
    "bce_logits": (OUT, HIT, lambda p, t: -t * np.log(sigmoid(p)) - (1 - t) * np.log(1 - sigmoid(p))),
    "bce": (SHARE, HIT, lambda p, t: -t * np.log(p) - (1 - t) * np.log(1 - p)),
    "cross_entropy": (OUT, LABELS, lambda p, t: -log_softmax(p)[np.arange(len(t)), t]),
}  # fmt: skip


def test_every_loss_is_named():
    assert set(EACH) == set(kan.LOSSES)
    with pytest.raises(ConfigError, match="loss is 'l3'; wants one of mse, rmse"):
        kan.KanLoss("l3")
    with pytest.raises(ConfigError, match="l1 is -1; wants a number of 0 or more"):
        kan.KanLoss(l1=-1)
    with pytest.raises(ConfigError, match="delta is 0; wants a positive number"):
        kan.KanLoss("huber", delta=0)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", list(EACH))
def test_values_and_gradients(gpu, cpu, name, masked):
    output, target, formula = EACH[name]
    mask = (MASK[:, 0] if name == "cross_entropy" else MASK) if masked else np.ones(target.shape)
    loss = kan.LOSSES[name]
    value = (formula(output, target) * mask).sum() / mask.sum()
    wanted = np.sqrt(value) if name == "rmse" else value
    for device, dtype in ((cpu, "float64"), (gpu, "float32")):
        given = [device.tensor(a, dtype if a.dtype.kind == "f" else None) for a in (output, target, mask)]
        got = loss(*given) if masked else loss(*given[:2])
        assert got.shape == ()
        assert got.item() == pytest.approx(wanted, rel=2e-6)
    check_gradient(gpu, lambda p, t, m: loss(p, t, m if masked else None), output, target, mask, wrt=[0])


def test_another_delta(gpu):
    loss = kan.KanLoss("huber", delta=0.5)
    e = np.abs(OUT - TARGET)
    wanted = np.where(e <= 0.5, e**2 / 2, 0.5 * (e - 0.25))
    p, t, m = (gpu.tensor(a) for a in (OUT, TARGET, MASK))
    assert loss.data(p, t).item() == pytest.approx(wanted.mean(), rel=1e-5)
    assert loss.data(p, t, m).item() == pytest.approx((wanted * MASK).sum() / MASK.sum(), rel=1e-5)


@pytest.mark.parametrize("name", list(EACH))
def test_what_a_mask_hides_may_be_anything(gpu, name):
    output, target, _ = EACH[name]
    mask = (MASK[:, 0] if name == "cross_entropy" else MASK) > 0
    strange = np.where(mask, target, 99 if name == "cross_entropy" else np.nan)
    grads = []
    for t in (target, strange.astype(target.dtype)):
        p, t, m = gpu.tensor(output), gpu.tensor(t), gpu.tensor(mask.astype(np.float32))
        with gc.GradientTape() as tape:
            value = kan.LOSSES[name](p, t, m)
        grads += [value.numpy(), tape.gradient(value, [p])[0].numpy()]
    assert grads[2] == grads[0]
    assert np.array_equal(grads[3], grads[1])
    assert (grads[1][~mask] == 0).all()
    with gc.GradientTape() as tape:
        value = kan.LOSSES[name](p, t, gpu.tensor(np.zeros(mask.shape)))
    assert value.item() <= 1e-6
    assert (tape.gradient(value, [p])[0].numpy() == 0).all()


def test_extremes_stay_finite(gpu):
    far = gpu.tensor(np.array([[200.0, -200.0, 0.0]]))
    hit = gpu.tensor(np.array([[1.0, 0.0, 1.0]]))
    with gc.GradientTape(persistent=True) as tape:
        logits = kan.LOSSES["bce_logits"](far, hit, hit)
        shares = kan.LOSSES["bce"](hit, gpu.tensor(np.array([[0.0, 0.0, 1.0]])))
        root = kan.LOSSES["rmse"](hit, hit)
    assert logits.item() == pytest.approx(np.log(2) / 2, rel=1e-5)
    assert 5 < shares.item() < 6
    assert root.item() <= 1e-6
    for value, source in ((logits, far), (shares, hit), (root, hit)):
        assert np.isfinite(tape.gradient(value, [source])[0].numpy()).all()


def test_measures_of_coefficients(gpu, cpu):
    c = RNG.normal(size=(2, 3, 6))
    p = c**2 / (c**2).sum()
    measures = {
        kan.l1_sparsity: np.abs(c).mean(), kan.coefficient_entropy: -(p * np.log(p)).sum(),
        kan.roughness: (np.diff(c, n=2, axis=2) ** 2).mean(),
    }  # fmt: skip
    for measure, wanted in measures.items():
        assert measure(cpu.tensor(c, "float64")).item() == pytest.approx(wanted, rel=1e-12)
        assert measure(gpu.tensor(c)).item() == pytest.approx(wanted, rel=1e-5)
        check_gradient(gpu, measure, c)
    equal, one = np.ones((1, 2, 4)), np.zeros((1, 2, 4))
    one[0, 1, 2] = -3
    assert kan.coefficient_entropy(gpu.tensor(equal)).item() == pytest.approx(np.log(8), rel=1e-5)
    assert kan.coefficient_entropy(gpu.tensor(one)).item() == pytest.approx(0, abs=1e-6)
    zeros = gpu.tensor(np.zeros((1, 2, 4)))
    with gc.GradientTape() as tape:
        value = kan.KanLoss(l1=1, entropy=1, smooth=1).of_coefficients(zeros)
    assert value.item() == 0
    assert (tape.gradient(value, [zeros])[0].numpy() == 0).all()


def test_the_whole_loss_is_the_weighted_sum(cpu):
    network = kan.KanNetwork(kan.KanConfig(2, (3,), 1, seed=1), device=cpu, dtype="float64")
    x, y = cpu.tensor(RNG.uniform(-1, 1, (5, 2)), "float64"), cpu.tensor(RNG.normal(size=(5, 1)), "float64")
    loss = kan.KanLoss("mae", l1=0.3, entropy=0.2, smooth=0.1)
    wanted = np.abs(network(x).numpy() - y.numpy()).mean()
    for layer in network.layers:
        c = layer.coefficients
        wanted += 0.3 * kan.l1_sparsity(c).item() + 0.2 * kan.coefficient_entropy(c).item() + 0.1 * kan.roughness(c).item()
    assert loss(network, network(x), y).item() == pytest.approx(wanted, rel=1e-12)
    assert loss.data(network(x), y).item() == pytest.approx(np.abs(network(x).numpy() - y.numpy()).mean(), rel=1e-12)
    assert kan.KanLoss().of_coefficients(network.layers[0].coefficients) is None


def test_r2(gpu):
    t = RNG.normal(3, 1, (50, 2))
    y = t + RNG.normal(0, 0.3, t.shape)
    wanted = 1 - ((t - y) ** 2).sum() / ((t - t.mean(axis=0)) ** 2).sum()
    assert kan.r2(gpu.tensor(y), gpu.tensor(t)).item() == pytest.approx(wanted, rel=1e-5)
    assert kan.r2(gpu.tensor(t), gpu.tensor(t)).item() == 1
    assert kan.r2(gpu.tensor(np.tile(t.mean(axis=0), (50, 1))), gpu.tensor(t)).item() == pytest.approx(0, abs=1e-6)
    check_gradient(gpu, kan.r2, y[:5], t[:5])
