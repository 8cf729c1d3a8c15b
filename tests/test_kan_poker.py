"""The poker layout as an example of a loss of one's own, and functions as losses in general."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradient

import gpucore as gc
from gpucore.errors import ConfigError, ShapeError
from gpucore.systems import kan

RNG = np.random.default_rng(7)
N = 6
LEGAL = (RNG.random((N, 8)) < 0.6).astype(float)
LEGAL[0], LEGAL[1] = 1, 0
SHARES = np.where(LEGAL > 0, RNG.random((N, 8)), 0)
SHARES = SHARES / np.maximum(SHARES.sum(axis=1, keepdims=True), 1e-9)
TARGET = np.concatenate([SHARES, RNG.normal(0, 2, (N, 8)), LEGAL], axis=1)
OUTPUT = RNG.normal(0, 1.5, (N, 24))
MASK = np.repeat((RNG.random((N, 1)) < 0.7).astype(float), 24, axis=1)
MASK[0, 3], MASK[0, 12] = 0, 0.5


def formula(output, target, mask, *, policy="cross_entropy", value="huber", value_weight=1.0, legal_weight=0.0, delta=1.0):
    logits, values, legality = output[:, :8], output[:, 8:16], output[:, 16:]
    shares, worths, legal = target[:, :8], target[:, 8:16], target[:, 16:]
    total = np.zeros(3)
    weights, positions = np.zeros(3), 0
    for n in range(len(output)):
        counted = legal[n] * mask[n, :8]
        e = np.exp(logits[n] - logits[n].max()) * (counted > 0)
        positions += (counted > 0).any()
        for k in range(8):
            p, s = shares[n, k], 1 / (1 + np.exp(-logits[n, k]))
            if counted[k] > 0:
                each = -np.log(e[k] / e.sum()) * p if policy == "cross_entropy" else -p * np.log(s) - (1 - p) * np.log(1 - s)
                total[0], weights[0] = total[0] + counted[k] * each, weights[0] + counted[k]
            w, gap = legal[n, k] * mask[n, 8 + k], abs(values[n, k] - worths[n, k])
            each = gap**2 if value == "mse" else gap**2 / 2 if gap <= delta else delta * (gap - delta / 2)
            total[1], weights[1] = total[1] + w * each, weights[1] + w
            s = 1 / (1 + np.exp(-legality[n, k]))
            w, each = mask[n, 16 + k], -legal[n, k] * np.log(s) - (1 - legal[n, k]) * np.log(1 - s)
            total[2], weights[2] = total[2] + w * each, weights[2] + w
    weights[0] = positions if policy == "cross_entropy" else weights[0]
    return (total / weights) @ [1, value_weight, legal_weight]


SETTINGS = [
    dict(), dict(value="mse", value_weight=0.5), dict(policy="bce", value_weight=2.0, delta=0.5),
    dict(policy="bce", value="mse", legal_weight=0.3), dict(legal_weight=1.0),
]  # fmt: skip


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_values_and_gradients(gpu, cpu, settings, masked):
    loss, mask = kan.PokerLoss(**settings), MASK if masked else np.ones_like(MASK)
    wanted = formula(OUTPUT, TARGET, mask, **settings)
    for device, dtype in ((cpu, "float64"), (gpu, "float32")):
        got = loss(*[device.tensor(a, dtype) for a in (OUTPUT, TARGET, MASK)[: 3 if masked else 2]])
        assert got.shape == ()
        assert got.item() == pytest.approx(wanted, rel=5e-6)
    check_gradient(gpu, lambda p, t, m: loss(p, t, m if masked else None), OUTPUT, TARGET, MASK, wrt=[0])


def test_actions_that_are_not_allowed_do_not_count(gpu):
    strange = TARGET.copy()
    strange[:, :16][np.tile(LEGAL, 2) == 0] = np.nan
    for settings in SETTINGS[:3]:
        found = []
        for target in (TARGET, strange):
            output = gpu.tensor(OUTPUT)
            with gc.GradientTape() as tape:
                value = kan.PokerLoss(**settings)(output, gpu.tensor(target))
            found += [value.numpy(), tape.gradient(value, [output])[0].numpy()]
        assert found[2] == found[0]
        assert np.array_equal(found[3], found[1])
        assert (found[1][:, :16][np.tile(LEGAL, 2) == 0] == 0).all()
        assert (found[1][:, 16:] == 0).all()
    none = TARGET.copy()
    none[:, 16:] = 0
    assert kan.PokerLoss()(gpu.tensor(OUTPUT), gpu.tensor(none)).item() == 0


def test_probabilities_are_those_of_allowed_actions(gpu):
    shares = kan.action_probabilities(gpu.tensor(OUTPUT), gpu.tensor(LEGAL)).numpy()
    assert (shares[LEGAL == 0] == 0).all()
    assert shares.sum(axis=1) == pytest.approx((LEGAL.any(axis=1)).astype(float), abs=1e-6)
    e = np.exp(OUTPUT[0, :8])
    assert shares[0] == pytest.approx(e / e.sum(), rel=1e-5)


def positions(n=96):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 21)).astype(np.float32)
    legal = (x[:, :8] > -0.7).astype(np.float32)
    legal[:, 0] = 1
    shares = legal * np.exp(2 * x[:, 8:16])
    return x, np.concatenate([shares / shares.sum(axis=1, keepdims=True), np.tanh(x[:, 3:11]), legal], axis=1).astype(np.float32)


def test_the_network_of_the_workload_learns_it(gpu, cpu):
    x, y = positions()
    loss = kan.PokerLoss(legal_weight=0.1)
    losses = []
    for device in (gpu, cpu):
        network = kan.KanNetwork(kan.KanConfig.preset("arkan", seed=1), device=device)
        losses.append([network.train_step(x, y, loss=loss, lr=5e-3).item() for _ in range(20 if device is gpu else 5)])
    assert losses[0][:5] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0][-1] < 0.9 * losses[0][0]
    with_measures = kan.KanLoss(loss, l1=1e-2, activation_l1=1e-4)
    assert network.train_step(x, y, loss=with_measures, lr=0.0).item() > network.train_step(x, y, loss=loss, lr=0.0).item()
    history = kan.fit(network, x, y, epochs=2, loss=loss, lr=2e-3, mask=np.ones_like(y), validation=(x, y))
    assert history["val_loss"][-1] < losses[1][0]


def test_any_function_is_a_loss(gpu):
    x = np.random.default_rng(0).uniform(-1, 1, (20, 2)).astype(np.float32)
    seen = []

    def fourth(output, target, mask):
        seen.append(mask)
        gap = (output - target) if mask is None else (output - target) * mask
        return gc.ops.mean(gap * gap * gap * gap)

    network = kan.KanNetwork(kan.KanConfig(2, (), 1), device=gpu)
    wanted = float(np.mean((network(x).numpy() - x[:, :1]) ** 4))
    assert network.train_step(x, x[:, :1], loss=fourth).item() == pytest.approx(wanted, rel=1e-5)
    first = network._steps.first
    network.train_step(x, x[:, :1], loss=fourth)
    assert network._steps.first is first
    assert seen == [None]  # recorded once
    network.train_step(x, x[:, :1], loss=fourth, mask=np.ones((20, 1)))
    assert seen[1].shape == (20, 1)
    with pytest.raises(ShapeError, match=r"the loss function gave \(20, 1\); wants a scalar"):
        network.train_step(x, x[:, :1], loss=lambda p, t, m: p - t)
    with pytest.raises(ShapeError, match="the loss function gave float; wants a scalar"):
        kan.KanLoss(lambda p, t, m: 1.0).data(network(x), network(x))
    with pytest.raises(ConfigError, match=r"loss is 3; wants one of mse, .*, or a function"):
        kan.KanLoss(3)


def test_faults_have_their_sentences(gpu):
    for settings, sentence in (
        (dict(policy="mse"), "policy is 'mse' and value 'huber'; wants one of cross_entropy, bce and huber, mse, mae"),
        (dict(value="bce"), "value 'bce'"), (dict(value_weight=-1), "value_weight is -1; wants a number of 0 or more"),
        (dict(legal_weight=np.nan), "legal_weight is nan"), (dict(delta=0), "delta is 0; wants a number of 0 or more, not 0"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=sentence):
            kan.PokerLoss(**settings)
    with pytest.raises(ShapeError, match=r"PokerLoss: output has shape \(2, 8\); wants \[n, 24\]"):
        kan.PokerLoss()(gpu.ones((2, 8)), gpu.ones((2, 24)))
    with pytest.raises(ShapeError, match="target has shape"):
        kan.PokerLoss()(gpu.ones((2, 24)), gpu.ones((2, 8)))
