"""Optimizers against hand-written loops, eager and replayed; clipping, state, schedules, refusals."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import gpucore as gc
from gpucore.errors import ConfigError, DeviceMismatchError, DTypeError, ShapeError
from gpucore.optim import SGD, Adam, AdamW, CosineLR, StepLR, WarmupCosineLR

SHAPES = [(3, 5), (7,), (), (64,), (2, 3, 11), (1,), (130,)]  # seven: two pack dispatches, sizes on both sides of 64
STEPS = 12

OPTIMIZERS = {
    "sgd": lambda p, **k: SGD(p, 0.1, **k),
    "sgd decay": lambda p, **k: SGD(p, 0.1, weight_decay=0.2, **k),
    "momentum": lambda p, **k: SGD(p, 0.1, momentum=0.9, weight_decay=0.05, **k),
    "nesterov": lambda p, **k: SGD(p, 0.1, momentum=0.8, nesterov=True, weight_decay=0.05, **k),
    "adam": lambda p, **k: Adam(p, 0.1, **k),
    "adam decay": lambda p, **k: Adam(p, 0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.2, **k),
    "adamw": lambda p, **k: AdamW(p, 0.1, weight_decay=0.2, **k),
}


@pytest.fixture(params=[False, True], ids=["where they lie", "packed"])
def packs(request, monkeypatch):
    """How updates get at the gradients: where they lie, on an adapter that binds enough buffers, or packed as on every other."""
    monkeypatch.setattr("gpucore.optim.first_order.granted", lambda device: device.kind != "cpu" and not request.param)
    return request.param


def by_hand(name, params, grads, *, mask=None, max_norm=None, clip=None):
    """The same updates as loops over separate float64 arrays, from the papers' formulas."""
    params = [p.copy() for p in params]
    mask = [1.0] * len(params) if mask is None else mask
    u, m, v = ([np.zeros_like(p) for p in params] for _ in range(3))
    for t, step in enumerate(grads, 1):
        norm = np.sqrt(sum((g**2).sum() for g in step))
        factor = min(1.0, max_norm / (norm + 1e-6)) if max_norm else 1.0
        for i, g in enumerate(step):
            g = g * factor
            g = np.clip(g, -clip, clip) if clip else g
            if name.startswith("adam"):
                beta1, beta2, eps = (0.8, 0.95, 1e-3) if name == "adam decay" else (0.9, 0.999, 1e-8)
                if name == "adamw":
                    params[i] = params[i] * (1 - 0.1 * 0.2 * mask[i])
                elif name == "adam decay":
                    g = g + 0.2 * mask[i] * params[i]
                m[i] = beta1 * m[i] + (1 - beta1) * g
                v[i] = beta2 * v[i] + (1 - beta2) * g * g
                params[i] = params[i] - 0.1 * (m[i] / (1 - beta1**t)) / (np.sqrt(v[i] / (1 - beta2**t)) + eps)
                continue
            g = g + {"sgd": 0.0, "sgd decay": 0.2}.get(name, 0.05) * mask[i] * params[i]
            if name in ("momentum", "nesterov"):
                mu = 0.9 if name == "momentum" else 0.8
                u[i] = mu * u[i] + g
                g = g + mu * u[i] if name == "nesterov" else u[i]
            params[i] = params[i] - 0.1 * g
    return params


def make(rng, scale=1.0):
    params = [rng.standard_normal(s) for s in SHAPES]
    return params, [[scale * rng.standard_normal(s) for s in SHAPES] for _ in range(STEPS)]


def run(device, name, params, grads, dtype="float32", **options):
    tensors = [device.tensor(p, dtype) for p in params]
    optimizer = OPTIMIZERS[name](tensors, **options)
    for step in grads:
        optimizer.step([device.tensor(g, dtype) for g in step])
    return tensors, optimizer


def assert_close(tensors, want, **tolerance):
    for t, w in zip(tensors, want, strict=True):
        assert t.shape == w.shape
        np.testing.assert_allclose(t.numpy(), w, **tolerance)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
@pytest.mark.parametrize("clipping", [{}, {"max_grad_norm": 3.0}, {"clip_value": 0.4}, {"max_grad_norm": 9.0, "clip_value": 0.3}])
def test_steps_match_the_hand_written_loop(gpu, cpu, rng, name, clipping, packs):
    params, grads = make(rng)
    want = by_hand(name, params, grads, max_norm=clipping.get("max_grad_norm"), clip=clipping.get("clip_value"))
    assert_close(run(cpu, name, params, grads, "float64", **clipping)[0], want, rtol=1e-7, atol=1e-9)
    assert_close(run(gpu, name, params, grads, **clipping)[0], want, rtol=2e-5, atol=5e-6)


@pytest.mark.parametrize("name", ["sgd decay", "momentum", "adam decay", "adamw"])
def test_decay_mask(gpu, cpu, rng, name, packs):
    params, grads = make(rng)
    mask = [1, 0, 0.5, 0, 2, 1, 0]
    want = by_hand(name, params, grads, mask=mask)
    assert_close(run(cpu, name, params, grads, "float64", decay_mask=mask)[0], want, rtol=1e-7, atol=1e-9)
    assert_close(run(gpu, name, params, grads, decay_mask=mask)[0], want, rtol=2e-5, atol=5e-6)


def test_parameters_become_aligned_views_of_one_storage(gpu, rng):
    values = [rng.standard_normal(s).astype(np.float32) for s in SHAPES]
    params = [gpu.tensor(v) for v in values]
    optimizer = Adam(params)
    assert len({id(p.storage) for p in params}) == 1
    assert all(p.offset % 64 == 0 for p in params)
    for p, v in zip(params, values, strict=True):
        np.testing.assert_array_equal(p.numpy(), v)
    params[1].assign(np.arange(7, dtype=np.float32))
    np.testing.assert_array_equal(params[1].numpy(), np.arange(7))
    np.testing.assert_array_equal(params[2].numpy(), values[2])
    optimizer.step([gpu.tensor(v) for v in values])
    flat = optimizer._flat.theta.numpy()
    inside = np.zeros(flat.size, bool)
    for p in params:
        inside[p.offset : p.offset + p.size] = True
    assert not flat[~inside].any()


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_padding_stays_zero(gpu, rng, name, packs):
    params, grads = make(rng)
    tensors, optimizer = run(gpu, name, params, grads, max_grad_norm=1.0)
    for flat in (optimizer._flat.theta, *optimizer._state.values()):
        host = flat.numpy()
        for p in tensors:
            host[p.offset : p.offset + p.size] = 0
        assert not host.any()


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_learning_rate_zero_changes_nothing(gpu, rng, name):
    params, grads = make(rng)
    tensors = [gpu.tensor(p) for p in params]
    optimizer = OPTIMIZERS[name](tensors)
    optimizer.lr = 0
    for step in grads[:3]:
        optimizer.step([gpu.tensor(g) for g in step])
    for t, p in zip(tensors, params, strict=True):
        np.testing.assert_array_equal(t.numpy(), p.astype(np.float32))


def test_weight_decay_zero_and_a_zero_mask_change_nothing(gpu, rng):
    params, grads = make(rng)
    plain = run(gpu, "adam", params, grads)[0]
    for cls in (Adam, AdamW):
        for options in ({"weight_decay": 0.0}, {"weight_decay": 0.3, "decay_mask": [0] * len(SHAPES)}):
            tensors = [gpu.tensor(p) for p in params]
            optimizer = cls(tensors, 0.1, **options)
            for step in grads:
                optimizer.step([gpu.tensor(g) for g in step])
            for a, b in zip(tensors, plain, strict=True):
                np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_grad_norm_is_measured_and_clipped(gpu, rng, packs):
    params, grads = make(rng, scale=3.0)
    norm = np.sqrt(sum((g**2).sum() for g in grads[0]))
    for limit in (1.0, 1e6, float("inf")):
        tensors, optimizer = run(gpu, "sgd", params, grads[:1], max_grad_norm=limit)
        assert optimizer.last_grad_norm.shape == ()
        assert optimizer.last_grad_norm.item() == pytest.approx(norm, rel=1e-6)
        moved = np.sqrt(sum(((p - t.numpy()) ** 2).sum() for p, t in zip(params, tensors, strict=True))) / 0.1
        assert moved == pytest.approx(min(norm, limit), rel=1e-5)
    assert run(gpu, "sgd", params, grads[:1])[1].last_grad_norm is None


def test_norm_of_many_blocks(gpu, rng, packs):
    g = rng.standard_normal(3 * 4096 * 256 + 77).astype(np.float32)
    p = gpu.zeros((g.size,))
    optimizer = SGD([p], 1.0, max_grad_norm=2.0)
    optimizer.step([gpu.tensor(g)])
    assert optimizer.last_grad_norm.item() == pytest.approx(np.linalg.norm(g.astype(np.float64)), rel=1e-6)
    assert np.linalg.norm(p.numpy().astype(np.float64)) == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_large_parameters_have_updates_of_their_own(gpu, cpu, rng, monkeypatch, name):
    """Where gradients are packed. They read the gradient where it lies; the flat order differs from that of the parameters."""
    monkeypatch.setattr("gpucore.optim.first_order.granted", lambda device: False)
    monkeypatch.setattr("gpucore.optim.packed.DIRECT", 64)
    monkeypatch.setattr("gpucore.optim.packed.DIRECT_ON", {})
    params, grads = make(rng)
    mask = [1, 0, 0.5, 0, 2, 1, 0]
    clipping = dict(max_grad_norm=3.0, decay_mask=mask)
    want = by_hand(name, params, grads, mask=mask, max_norm=3.0)
    tensors, optimizer = run(gpu, name, params, grads, **clipping)
    assert [p.param for p in optimizer._gradients.pieces] == [None, 3]
    assert_close(run(cpu, name, params, grads, "float64", **clipping)[0], want, rtol=1e-7, atol=1e-9)
    assert_close(tensors, want, rtol=2e-5, atol=5e-6)
    state = optimizer.state_dict()
    assert all(state[f"{slot}.{i}"].shape == SHAPES[i] for slot in optimizer.slots for i in range(len(SHAPES)))
    optimizer.step([None] * len(SHAPES))
    assert optimizer.steps == STEPS + 1
    assert optimizer.last_grad_norm.item() == 0


def test_a_step_takes_few_dispatches(gpu, rng, monkeypatch):
    """Packed six at a time, then one update, clipped or not; a large parameter is updated on its own."""
    monkeypatch.setattr("gpucore.optim.first_order.granted", lambda device: False)
    monkeypatch.setattr("gpucore.optim.first_order.FOLDED", {})
    monkeypatch.setattr("gpucore.optim.packed.DIRECT_ON", {})
    for shapes, clip, want in (([(9,)] * 4, None, 2), ([(9,)] * 10, None, 3), ([(9,)] * 10, 1.0, 3), ([(1 << 21,)], None, 1),
                               ([(1 << 21,), (5,)], 1.0, 4)):  # fmt: skip
        params = [gpu.tensor(rng.standard_normal(s).astype(np.float32)) for s in shapes]
        grads = [gpu.tensor(rng.standard_normal(s).astype(np.float32)) for s in shapes]
        optimizer = Adam(params, max_grad_norm=clip)
        step = gc.Pipeline(lambda *g, optimizer=optimizer: optimizer.step(g))
        step(*grads)
        assert step.dispatches == want, (shapes, clip)


def test_an_update_reads_up_to_24_gradients_where_they_lie(gpu, rng, monkeypatch):
    """One dispatch for the sums of squares and one for the update of each 24 parameters, whatever their sizes."""
    monkeypatch.setattr("gpucore.optim.first_order.FOLDED", {})
    monkeypatch.setattr("gpucore.optim.first_order.granted", lambda device: True)
    for shapes, clip, want in (([(9,)] * 24, None, 1), ([(9,)] * 24, 1.0, 2), ([(9,)] * 25, None, 2), ([(1 << 21,), (5,)], 1.0, 2)):
        params = [gpu.tensor(rng.standard_normal(s).astype(np.float32)) for s in shapes]
        grads = [gpu.tensor(rng.standard_normal(s).astype(np.float32)) for s in shapes]
        optimizer = Adam(params, max_grad_norm=clip)
        step = gc.Pipeline(lambda *g, optimizer=optimizer: optimizer.step(g))
        step(*grads)
        assert step.dispatches == want, (shapes, clip)


@pytest.mark.parametrize("clip", [None, 1.0])
def test_nothing_is_copied_to_and_fro(gpu, rng, packs, clip):
    """Whatever an update changes is bound where it lies; sizes are such that neither counters nor sums come in fours."""
    params = [gpu.tensor(rng.standard_normal(s).astype(np.float32)) for s in [(1500,), (9,), (3000,), (2,), (5,)]]
    grads = [gpu.tensor(rng.standard_normal(p.shape).astype(np.float32)) for p in params]
    optimizer = Adam(params, max_grad_norm=clip)
    optimizer.step(grads)
    recording = gpu.begin_recording()
    try:
        optimizer.step(grads)
    finally:
        gpu.end_recording()
    assert all(command[0] is not None for command in recording.commands)  # one without a pipeline is a copy


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_packed_or_not_gives_the_same_bits(gpu, rng, monkeypatch, name):
    """The updates are one text; only the order in which squares are added up differs."""
    params, grads = make(rng)
    found = []
    for enough in (True, False):
        monkeypatch.setattr("gpucore.optim.first_order.granted", lambda device, enough=enough: enough)
        found.append([t.numpy() for t in run(gpu, name, params, grads, clip_value=0.4)[0]])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("most", [1, 1 << 20])
def test_partial_sums_are_added_up_before_the_update_or_in_it(gpu, cpu, rng, monkeypatch, packs, most):
    monkeypatch.setattr("gpucore.optim.first_order.FOLDED", {})
    monkeypatch.setattr("gpucore.optim.first_order.MOST_PARTIALS", most)
    params, grads = make(rng)
    want = by_hand("adam", params, grads, max_norm=3.0)
    for device, dtype, close in ((cpu, "float64", dict(rtol=1e-7, atol=1e-9)), (gpu, "float32", dict(rtol=2e-5, atol=5e-6))):
        assert_close(run(device, "adam", params, grads, dtype, max_grad_norm=3.0)[0], want, **close)


def test_more_parameters_than_one_dispatch_binds(gpu, rng, monkeypatch, packs):
    """With a small range: several packs, norms and updates over parts of the flat tensors, and of a parameter, give the same."""
    shapes = [(300_001,), (5,), (200_000,), (100_000,), (33,)]
    params = [rng.standard_normal(s).astype(np.float32) for s in shapes]
    grads = [rng.standard_normal(s).astype(np.float32) for s in shapes]
    monkeypatch.setattr("gpucore.optim.packed.DIRECT_ON", {})
    for clip in (None, 1.0):
        found = []
        for size in (1 << 25, 1 << 18):
            monkeypatch.setattr("gpucore.optim.packed.RANGE", size)
            monkeypatch.setattr("gpucore.optim.sourced.RANGE", size)
            tensors, optimizer = run(gpu, "adamw", params, [grads] * 2, max_grad_norm=clip, decay_mask=[1, 0, 1, 0.5, 2])
            assert len(optimizer._gradients.pieces) == (1 if size > 1 << 20 else 3)
            if packs:
                assert len(optimizer._gradients.batches) == (1 if size > 1 << 20 else 3)
            found.append([t.numpy() for t in tensors])
        for a, b in zip(*found, strict=True):
            if clip is None:
                np.testing.assert_array_equal(a, b)
            else:  # the norm is added up in another order
                np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_a_nan_gradient_shows_in_the_norm(gpu, packs):
    p = gpu.ones((3,))
    optimizer = SGD([p], 0.1, max_grad_norm=1.0)
    optimizer.step([gpu.tensor([1.0, np.nan, 0.0])])
    assert np.isnan(optimizer.last_grad_norm.item())
    assert np.isnan(p.numpy()).all()


def test_frozen_and_missing_gradients(gpu, rng, packs):
    class Parameter(gc.Tensor):
        __slots__ = ("frozen",)

    start = [np.full((5,), float(i), np.float32) for i in range(3)]
    params = [gpu.tensor(s) for s in start]
    held = Parameter(gpu, params[1].storage, (5,), params[1].dtype)
    held.frozen = True
    optimizer = SGD([params[0], held, params[2]], 0.5, momentum=0.5)
    g = gpu.ones((5,))
    optimizer.step([g, g, None])
    assert held.storage is not params[0].storage
    np.testing.assert_array_equal(params[0].numpy(), start[0] - 0.5)
    np.testing.assert_array_equal(held.numpy(), start[1])
    np.testing.assert_array_equal(params[2].numpy(), start[2])
    assert set(optimizer.state_dict()) == {"step", "lr", "velocity.0", "velocity.2"}


# ---- inside a pipeline


def model(params, x, y):
    """tanh regression: enough to give every parameter a gradient."""
    hidden = gc.ops.tanh(gc.ops.add(gc.ops.multiply(x, params[0]), params[1]))
    return gc.ops.mse_loss(gc.ops.add(gc.ops.multiply(hidden, params[2]), params[3]), y)


def training(device, name, dtype="float32", **options):
    rng = np.random.default_rng(3)
    params = [device.tensor(rng.standard_normal(s), dtype) for s in ((1, 9), (9,), (1, 9), (9,))]
    optimizer = OPTIMIZERS[name](params, **options)

    def step(x, y):
        with gc.GradientTape() as tape:
            loss = model(params, x, y)
        optimizer.step(tape.gradient(loss, params))
        return loss

    return params, optimizer, step


def batches(device, count, dtype="float32"):
    rng = np.random.default_rng(4)
    for _ in range(count):
        x = rng.standard_normal((16, 1))
        yield device.tensor(x, dtype), device.tensor(np.sin(2 * x) * np.ones((1, 9)), dtype)


@pytest.mark.parametrize("name", ["momentum", "adam", "adamw"])
def test_a_replayed_step_equals_the_eager_one_bit_for_bit(gpu, name):
    eager, opt_a, step_a = training(gpu, name, max_grad_norm=0.5)
    replayed, opt_b, step_b = training(gpu, name, max_grad_norm=0.5)
    pipeline = gc.Pipeline(step_b)
    schedule = CosineLR(0.1, 50)
    losses = []
    for i, (x, y) in enumerate(batches(gpu, 50)):
        schedule.apply(opt_a, i)
        schedule.apply(opt_b, i)
        losses.append((step_a(x, y).item(), pipeline(x, y).item()))
    assert opt_a.steps == opt_b.steps == 50
    assert all(a == b for a, b in losses)
    assert np.mean([a for a, _ in losses[-5:]]) < 0.7 * losses[0][0]
    for a, b in zip(eager, replayed, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for a, b in zip(opt_a.state_dict().values(), opt_b.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["nesterov", "adam decay", "adamw"])
def test_verify_shows_parity_of_parameters_and_state(gpu, name):
    _, optimizer, step = training(gpu, name, max_grad_norm=0.5)
    pipeline = gc.Pipeline(step)
    for x, y in batches(gpu, 3):
        found = pipeline.verify(x, y)
        assert len(found) >= 5  # the loss, parameters, moments, steps, sums of squares
        assert max(d.relative_l2 for d in found) < 2e-6, found
    assert optimizer.steps == 3


def test_training_on_both_devices_stays_together(gpu, cpu):
    got, _, step = training(gpu, "adam")
    want, _, oracle = training(cpu, "adam", "float64")
    for (x, y), (x64, y64) in zip(batches(gpu, 30), batches(cpu, 30, "float64"), strict=True):
        a, b = step(x, y).item(), oracle(x64, y64).item()
        assert a == pytest.approx(b, rel=1e-4)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-3, atol=2e-4)


# ---- state


@pytest.mark.parametrize("name", ["sgd", "momentum", "adamw"])
def test_state_continues_where_it_was_saved(gpu, rng, name):
    params, grads = make(rng)
    whole, _ = run(gpu, name, params, grads)
    half, saved = run(gpu, name, params, grads[:6])
    state, values = saved.state_dict(), [p.numpy() for p in half]
    assert state["step"].tolist() == [6]
    tensors = [gpu.tensor(v) for v in values]
    resumed = OPTIMIZERS[name](tensors)
    resumed.lr = 0.7
    resumed.load_state_dict(state)
    assert resumed.lr == 0.1
    assert resumed.steps == 6
    for step in grads[6:]:
        resumed.step([gpu.tensor(g) for g in step])
    for a, b in zip(tensors, whole, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_state_that_does_not_fit_changes_nothing(gpu, rng):
    params, grads = make(rng)
    _, optimizer = run(gpu, "adam", params, grads[:2])
    before = optimizer.state_dict()
    good = {k: v + 1 for k, v in before.items()}
    wrong = [
        ({k: v for k, v in good.items() if k != "m.3"}, "m.3 are missing or foreign"),
        (good | {"velocity.0": np.zeros(3)}, "velocity.0 are missing or foreign"),
        (good | {"v.6": np.zeros(129)}, r"v.6 has shape \(129,\); wants \(130,\)"),
        (good | {"lr": np.array([-1.0])}, "lr is -1"),
        (good | {"lr": np.array([np.nan])}, "lr is nan"),
        (good | {"step": np.array([1.5])}, "step is 1.5"),
        (good | {"step": np.array(["2"])}, "wants numbers"),
    ]
    for state, sentence in wrong:
        with pytest.raises(ConfigError, match=sentence):
            optimizer.load_state_dict(state)
    for a, b in zip(optimizer.state_dict().values(), before.values(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- schedules


def test_step_schedule():
    schedule = StepLR(0.8, every=10, gamma=0.5)
    assert [schedule(s) for s in (0, 9, 10, 25)] == [0.8, 0.8, 0.4, 0.2]


def test_cosine_schedule():
    schedule = CosineLR(1.0, 100, min_lr=0.2)
    np.testing.assert_allclose([schedule(s) for s in (0, 25, 50, 100, 1000)], [1.0, 0.6 + 0.4 * np.sqrt(0.5), 0.6, 0.2, 0.2])


def test_warmup_schedule():
    schedule = WarmupCosineLR(1.0, warmup=4, total=24, min_lr=0.1)
    np.testing.assert_allclose([schedule(s) for s in (0, 1, 3, 4, 14, 24, 99)], [0.25, 0.5, 1.0, 1.0, 0.55, 0.1, 0.1])
    rates = [schedule(s) for s in range(4, 25)]
    assert all(a >= b for a, b in pairwise(rates))
    assert WarmupCosineLR(1.0, warmup=0, total=2)(0) == 1.0


def test_schedule_reaches_the_device(gpu):
    p = gpu.zeros((1,))
    optimizer = SGD([p], 1.0)
    pipeline = gc.Pipeline(lambda g: optimizer.step([g]))
    for step in range(3):
        assert StepLR(1.0, 1, 0.5).apply(optimizer, step) == optimizer.lr
        pipeline(gpu.ones((1,)))
    assert p.item() == -1.75


# ---- refusals


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: Adam(p, -1.0), "Adam: lr is -1"),
        (lambda p: Adam(p, float("nan")), "Adam: lr is nan"),
        (lambda p: AdamW(p, betas=(1.0, 0.9)), "AdamW: beta1 is 1.0; wants a number of 0 or more and less than 1"),
        (lambda p: Adam(p, betas=(0.9, -0.1)), "Adam: beta2 is -0.1"),
        (lambda p: Adam(p, eps=0.0), "Adam: eps is 0; wants a positive number"),
        (lambda p: Adam(p, weight_decay=-1), "Adam: weight_decay is -1"),
        (lambda p: Adam(p, max_grad_norm=0.0), "max_grad_norm is 0.0"),
        (lambda p: Adam(p, clip_value=-2.0), "clip_value is -2.0"),
        (lambda p: SGD(p, 0.1, momentum=1.0), "SGD: momentum is 1.0"),
        (lambda p: SGD(p, 0.1, nesterov=True), "SGD: nesterov is on and momentum 0"),
        (lambda p: SGD([], 0.1), "SGD: got no parameters"),
        (lambda p: SGD([*p, p[0]], 0.1), "parameter 2 tensor float32 .* is also parameter 0; list each once"),
        (lambda p: SGD([*p, p[0].view((2,), 1)], 0.1), "parameters 0 and 2 share memory"),
        (lambda p: SGD([1.0], 0.1), "got float among the parameters"),
        (lambda p: SGD(p, 0.1, weight_decay=1.0, decay_mask=[1]), "decay_mask has 1 entries for 2 parameters"),
        (lambda p: SGD(p, 0.1, weight_decay=1.0, decay_mask=[1, -1]), "wants finite numbers of 0 or more"),
        (lambda p: StepLR(1.0, 0), "StepLR: every is 0; wants a whole number of 1 or more"),
        (lambda p: StepLR(-1.0, 1), "StepLR: base_lr is -1.0"),
        (lambda p: CosineLR(1.0, 0), "CosineLR: total is 0"),
        (lambda p: CosineLR(1.0, 5, min_lr=-1), "CosineLR: min_lr is -1"),
        (lambda p: WarmupCosineLR(1.0, 5, 5), "warmup is 5; wants fewer steps than the total 5"),
        (lambda p: CosineLR(1.0, 5)(-1), "CosineLR: step is -1; wants 0 or more"),
    ],
)
def test_settings_outside_their_range(gpu, make, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make([gpu.ones((3,)), gpu.ones((4,))])


def test_refused_parameters_stay_where_they_were(gpu, cpu):
    p = gpu.ones((3,))
    storage = p.storage
    with pytest.raises(DTypeError, match=r"int32 .* cannot be trained; wants float32"):
        Adam([p, gpu.zeros((3,), "int32")])
    with pytest.raises(DeviceMismatchError, match="is on"):
        Adam([p, cpu.ones((3,))])
    with pytest.raises(DTypeError, match="differ in dtype"):
        Adam([cpu.ones((3,)), cpu.ones((3,), "float64")])
    assert p.storage is storage


def test_refused_gradients(gpu):
    p = gpu.ones((3,))
    optimizer = Adam([p])
    with pytest.raises(ShapeError, match=r"Adam\.step: got 2 gradients for 1 parameters"):
        optimizer.step([p, p])
    with pytest.raises(ShapeError, match=r"gradient 0 has shape \(4,\)"):
        optimizer.step([gpu.ones((4,))])
    with pytest.raises(DTypeError, match="gradient 0 is int32"):
        optimizer.step([gpu.zeros((3,), "int32")])
    assert optimizer.steps == 0
    with pytest.raises(ConfigError, match="lr is -2"):
        optimizer.lr = -2
    assert optimizer.lr == 1e-3
    Adam([p])
    with pytest.raises(ConfigError, match="was taken over by another optimizer"):
        optimizer.step([gpu.ones((3,))])
