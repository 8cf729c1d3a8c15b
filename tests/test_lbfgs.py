"""L-BFGS and its line search against SciPy, the formulas by hand, and what they promise."""

from __future__ import annotations

from itertools import pairwise
from math import inf, isfinite, nan

import numpy as np
import pytest
from scipy import optimize

import gpucore as gc
from gpucore import ops
from gpucore.errors import ConfigError, ShapeError
from gpucore.kernels import quasi_newton as K
from gpucore.optim import LBFGS
from gpucore.optim.line_search import StrongWolfe, Trial, cubic_minimum
from kernels_ref import optim as ref

# ---- functions of one flat tensor


def rosenbrock(x):
    a, b = x[1:], x[:-1]
    return ops.sum(100 * (a - b * b) ** 2 + (1 - b) ** 2)


def beale(x):
    a, b = x[:1], x[1:]
    return ops.sum((1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2)


def quadratic(n, condition):
    """½ (x - x*)ᵀ·A·(x - x*), A diagonal with eigenvalues from 1 to the condition number; x* = 1, -1, 1, ..."""
    scales, best = np.geomspace(1, condition, n), np.resize([1.0, -1.0], n)

    def f(x):
        along = x - x.device.tensor(best, x.dtype)
        return ops.sum(along * along * x.device.tensor(scales / 2, x.dtype))

    return f, best


def closure_of(f, *params):
    def closure():
        with gc.GradientTape() as tape:
            loss = f(*params)
        return loss, tape.gradient(loss, params)

    return closure


def started(device, f, start, dtype="float32", **options):
    x = device.tensor(np.asarray(start), dtype)
    return x, LBFGS([x], **options), closure_of(f, x)


def by_scipy(cpu, f, start, **options):
    """SciPy's L-BFGS-B on the same function, through the NumPy device in float64."""

    def value(at):
        loss, (g,) = closure_of(f, x := cpu.tensor(at, "float64"))()
        assert x.dtype.name == "float64"
        return loss.item(), g.numpy()

    return optimize.minimize(value, start, jac=True, method="L-BFGS-B", options=dict(maxcor=10, ftol=0, gtol=1e-7) | options)


EXACT = dict(tolerance_change=0.0, tolerance_grad=1e-7)
START = np.array([-1.2, 1.0])
LONG = np.tile([0.8, 1.2], 50)
CASES = {
    "rosenbrock 2": (rosenbrock, START, np.ones(2)),
    "rosenbrock 100": (rosenbrock, LONG, np.ones(100)),
    "beale": (beale, np.array([1.0, 1.0]), np.array([3.0, 0.5])),
    "quadratic": (quadratic(60, 300)[0], np.zeros(60), quadratic(60, 300)[1]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_minima_and_effort_are_those_of_scipy(cpu, name):
    f, start, best = CASES[name]
    want = by_scipy(cpu, f, start, maxiter=800, maxfun=2000)
    x, optimizer, closure = started(cpu, f, start, "float64", max_iterations=800, **EXACT)
    loss = optimizer.step(closure)
    assert optimizer.status == "gradient"
    assert loss < 1e-12
    assert loss == f(x).item()
    np.testing.assert_allclose(x.numpy(), best, atol=1e-6)
    np.testing.assert_allclose(want.x, best, atol=1e-5)
    assert optimizer.iterations <= 1.3 * want.nit + 5
    assert optimizer.evaluations <= 1.3 * want.nfev + 5


@pytest.mark.parametrize("name", ["rosenbrock 2", "beale", "quadratic"])
def test_float32_on_the_adapter_reaches_the_minima(gpu, name):
    f, start, best = CASES[name]
    x, optimizer, closure = started(gpu, f, start, max_iterations=300, tolerance_grad=1e-4)
    loss = optimizer.step(closure)
    assert loss < 1e-8
    assert loss == f(x).item()
    assert optimizer.status in ("gradient", "change")
    np.testing.assert_allclose(x.numpy(), best, atol=2e-3)


@pytest.mark.parametrize("name", list(CASES))
def test_every_step_fulfils_the_strong_wolfe_conditions(cpu, name):
    """Written in s = α·d, from values taken afresh at both ends."""
    f, start, _ = CASES[name]
    x, optimizer, closure = started(cpu, f, start, "float64", max_iterations=1, **EXACT)
    steps = 0
    while optimizer.status != "gradient" and steps < 40:
        before, (g0,) = closure()
        origin = x.numpy()
        optimizer.step(closure)
        if optimizer.iterations == steps:  # converged, or nothing better by roundings
            break
        steps += 1
        after, (g1,) = closure()
        s = x.numpy() - origin
        slope = float(g0.numpy() @ s)
        assert slope < 0
        assert after.item() <= before.item() + 1e-4 * slope
        assert abs(float(g1.numpy() @ s)) <= 0.9 * abs(slope) * (1 + 1e-9)
    assert steps >= 10


def test_the_direction_is_that_of_the_two_loops_over_the_vectors(cpu):
    _, optimizer, closure = started(cpu, rosenbrock, LONG[:9], "float64", history=4, max_iterations=7)
    optimizer.step(closure)
    state = optimizer.state_dict()
    pairs = [(state["s.0"][i], state["y.0"][i]) for i in state["order"]]
    assert len(pairs) == 4
    g = closure()[1][0].numpy()
    q, alphas = g.copy(), []
    for s, y in reversed(pairs):
        alphas.append(s @ q / (y @ s))
        q -= alphas[-1] * y
    s, y = pairs[-1]
    q *= (s @ y) / (y @ y)
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        q += s * (alpha - y @ q / (y @ s))
    coefficients, slope = optimizer._direction()
    optimizer._vectors.aim(coefficients)
    np.testing.assert_allclose(optimizer._vectors.direction.numpy()[:9], -q, rtol=1e-7)
    assert slope == pytest.approx(-q @ g, rel=1e-9)


# ---- networks


SIZES = [(1, 12), (12,), (12, 1), (1,)]


def network(device, dtype="float32", seed=5):
    rng = np.random.default_rng(seed)
    params = [device.tensor(rng.standard_normal(s), dtype) for s in SIZES]
    inputs = np.linspace(-2, 2, 40)[:, None]
    x, y = device.tensor(inputs, dtype), device.tensor(np.sin(2 * inputs), dtype)

    def loss(w1, b1, w2, b2):
        return ops.mse_loss(ops.tanh(x @ w1 + b1) @ w2 + b2, y)

    return params, loss


def pipeline_on(device, loss, params):
    """A pipeline without inputs runs on the default device; this one gets a tensor to know its own by."""
    step = gc.Pipeline(lambda _: (lambda r: (r[0], *r[1]))(closure_of(loss, *params)()))
    zero = device.zeros((1,))
    return lambda: step(zero)


def test_a_network_is_trained_as_far_as_by_scipy(gpu, cpu):
    params, loss = network(cpu, "float64")
    ends = np.cumsum([p.size for p in params])[:-1]

    def flat(x):
        return loss(*[cpu_part(x, i) for i in range(4)])

    def cpu_part(x, i):
        start = 0 if i == 0 else int(ends[i - 1])
        return ops.reshape(x[start : start + params[i].size], params[i].shape)

    want = by_scipy(cpu, flat, np.concatenate([p.numpy().ravel() for p in params]), maxiter=60)
    assert want.fun < 1e-3
    optimizer = LBFGS(params, max_iterations=90, tolerance_change=0.0)
    assert optimizer.step(closure_of(loss, *params)) <= want.fun
    assert optimizer.evaluations <= 1.5 * want.nfev + 5
    on_gpu, loss_on_gpu = network(gpu)
    optimizer = LBFGS(on_gpu, max_iterations=90, tolerance_change=0.0)
    assert optimizer.step(pipeline_on(gpu, loss_on_gpu, on_gpu)) <= 1.5 * want.fun


def test_the_first_steps_are_those_of_float64(gpu, cpu):
    got, f = network(gpu)
    want, f64 = network(cpu, "float64")
    a, b = LBFGS(got, max_iterations=1), LBFGS(want, max_iterations=1)
    for _ in range(8):
        x, y = a.step(closure_of(f, *got)), b.step(closure_of(f64, *want))
        assert x == pytest.approx(y, rel=1e-4)
        assert a.evaluations == b.evaluations
        for p, q in zip(got, want, strict=True):
            np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-3, atol=1e-4)


def test_an_evaluation_waits_once_and_takes_few_dispatches(gpu, monkeypatch):
    params, loss = network(gpu)
    optimizer, closure = LBFGS(params, max_iterations=5), pipeline_on(gpu, loss, params)
    optimizer.step(closure)
    counts = {"read": 0, "run": 0}
    for name in counts:
        real = getattr(gpu, name)
        monkeypatch.setattr(gpu, name, lambda *a, _n=name, _r=real: (counts.update({_n: counts[_n] + 1}), _r(*a))[1])
    evaluations, iterations = optimizer.evaluations, optimizer.iterations
    optimizer.step(closure)
    evaluations, iterations = optimizer.evaluations - evaluations, optimizer.iterations - iterations
    assert iterations == 5
    assert counts["read"] == evaluations
    assert counts["run"] == 3 * evaluations + (evaluations - 1) + iterations  # pack, pair, products; moves; directions


def test_on_every_path_of_the_adapter(plain_gpu):
    _, optimizer, closure = started(plain_gpu, rosenbrock, START, max_iterations=100, tolerance_grad=1e-4)
    assert optimizer.step(closure) < 1e-8


def test_vectors_in_several_stretches_and_gradients_where_they_lie(gpu, cpu, monkeypatch):
    found = []
    for most, direct in ((1 << 25, 1 << 14), (64 * 24, 64)):
        monkeypatch.setattr("gpucore.optim.flat_history.PER_BLOCK_ON", {"software": (96, 64)} if direct == 64 else {})
        monkeypatch.setattr("gpucore.optim.flat_history.RANGE", most)
        monkeypatch.setattr("gpucore.optim.packed.DIRECT", direct)
        monkeypatch.setattr("gpucore.optim.packed.DIRECT_ON", {})
        for device, dtype in ((gpu, "float32"), (cpu, "float64")):
            rng = np.random.default_rng(8)
            params = [device.tensor(rng.standard_normal(n), dtype) for n in (5, 264, 7, 130)]
            optimizer = LBFGS(params, max_iterations=4)
            assert (len(optimizer._vectors.stretches) > 1) == (direct == 64)
            losses = [optimizer.step(closure_of(lambda *p: sum(map(rosenbrock, p)), *params)) for _ in range(2)]
            state = optimizer.state_dict()
            assert state["s.1"].shape == (11, 264)
            found.append((losses, [p.numpy() for p in params], state))
    for other in found[1:]:
        np.testing.assert_allclose(found[0][0], other[0], rtol=1e-4)
        for a, b in zip(found[0][1], other[1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3)
    for (_, params, state), (_, again, split) in ((found[1], found[3]),):
        for a, b in zip([*params, state["y.3"]], [*again, split["y.3"]], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


# ---- what is promised


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_never_rises(gpu, cpu, seed):
    rng = np.random.default_rng(seed)
    start, f = 3 * rng.standard_normal(6), [rosenbrock, beale, quadratic(6, 1e6)[0], lambda x: ops.sum(ops.exp(x) - ops.log(x))][seed]
    start = start[:2] if f is beale else np.abs(start) if seed == 3 else start
    for device, dtype in ((gpu, "float32"), (cpu, "float32"), (cpu, "float64")):
        x, optimizer, closure = started(device, f, start, dtype, max_iterations=3)
        losses = [f(x).item(), *[optimizer.step(closure) for _ in range(12)]]
        assert all(a >= b for a, b in pairwise(losses)), losses
        assert losses[-1] == f(x).item()
        assert losses[-1] < losses[0]


def test_steps_into_what_is_not_finite_are_shortened(gpu, cpu):
    """x - log x has its minimum at 1; from 0.01 the first steps along d leave its domain on the way down."""
    for device, dtype in ((gpu, "float32"), (cpu, "float64")):
        for start in (30.0, 0.01):
            x, optimizer, closure = started(device, lambda x: ops.sum(x - ops.log(x)), [start], dtype, lr=50.0, tolerance_grad=1e-4)
            assert optimizer.step(closure) == pytest.approx(1.0, abs=1e-6)
            assert x.item() == pytest.approx(1.0, abs=1e-3)
            assert optimizer.status in ("gradient", "change")


@pytest.mark.parametrize("spoilt", ["loss", "gradient"])
def test_a_start_that_is_not_finite_is_left_alone(gpu, spoilt):
    x = gpu.tensor([1.0, 2.0])
    bad, good = gpu.tensor([nan, 1.0]), gpu.tensor([1.0, 1.0])
    optimizer = LBFGS([x])
    value = optimizer.step(lambda: (gpu.tensor([nan if spoilt == "loss" else 1.0]), [bad if spoilt == "gradient" else good]))
    assert optimizer.status == "not finite"
    assert isfinite(value) == (spoilt == "gradient")
    assert x.numpy().tolist() == [1, 2]
    assert optimizer.step(closure_of(beale, x)) < 14


def test_a_wrong_gradient_leaves_the_parameters_where_they_were(gpu, cpu):
    for device in (gpu, cpu):
        x, optimizer, closure = started(device, rosenbrock, START, max_iterations=10, max_evaluations=100)
        optimizer.step(closure)
        before, loss = x.numpy(), rosenbrock(x).item()
        value = optimizer.step(lambda c=closure: (lambda v, g: (v, [-g[0]]))(*c()))
        assert optimizer.status == "line search"
        assert value == rosenbrock(x).item() <= loss  # by roundings it may be better nearby
        np.testing.assert_allclose(x.numpy(), before, rtol=1e-5)


def test_a_bound_on_evaluations_keeps_the_best(cpu):
    for most in range(1, 12):
        x, optimizer, closure = started(cpu, rosenbrock, START, "float64", max_evaluations=most)
        assert optimizer.step(closure) == rosenbrock(x).item() <= 24.2
        assert optimizer.status == "evaluations"
        assert most <= optimizer.evaluations <= most + 1  # once more where the best was not the last


def test_status_says_why_it_ended(cpu):
    _, optimizer, closure = started(cpu, rosenbrock, START, "float64", max_iterations=3)
    optimizer.step(closure)
    assert (optimizer.status, optimizer.iterations, optimizer.steps) == ("iterations", 3, 3)
    optimizer.max_iterations = 100
    optimizer.step(closure)
    assert optimizer.status in ("gradient", "change")
    count = optimizer.iterations
    optimizer.step(closure)
    assert optimizer.iterations <= count + 1
    _, optimizer, closure = started(cpu, rosenbrock, START, "float64", max_iterations=100, tolerance_change=1e-2)
    assert optimizer.step(closure) > 1e-9
    assert optimizer.status == "change"


def test_learning_rate_zero_changes_nothing(gpu):
    x, optimizer, closure = started(gpu, rosenbrock, START)
    optimizer.lr = 0
    assert optimizer.step(closure) == pytest.approx(24.2)
    assert optimizer.status == "change"
    np.testing.assert_array_equal(x.numpy(), START.astype(np.float32))


def test_frozen_parameters_and_missing_gradients_are_left_alone(gpu):
    class Parameter(gc.Tensor):
        __slots__ = ("frozen",)

    free, unused, fixed = gpu.tensor([-1.2, 1.0]), gpu.tensor([5.0]), gpu.tensor([7.0, 8.0])
    held = Parameter(gpu, fixed.storage, (2,), fixed.dtype)
    held.frozen = True
    optimizer = LBFGS([held, free, unused], max_iterations=60, tolerance_grad=1e-4)

    def closure():
        loss, (g,) = closure_of(rosenbrock, free)()
        return loss, [gpu.ones((2,)), g, None]

    assert optimizer.step(closure) < 1e-8
    assert held.numpy().tolist() == [7, 8]
    assert unused.item() == 5
    assert {k for k in optimizer.state_dict() if "." in k} == {"s.1", "y.1", "s.2", "y.2"}


def test_an_error_in_the_closure_leaves_the_parameters_as_they_were(gpu):
    x, optimizer, closure = started(gpu, rosenbrock, START, max_iterations=2)
    calls = []

    def failing():
        calls.append(1)
        if len(calls) == 3:
            raise KeyError("data")
        return closure()[0], [gpu.tensor([-1e3, 1e3])]

    optimizer.step(closure)
    before = x.numpy()
    with pytest.raises(KeyError):
        optimizer.step(failing)
    assert len(calls) == 3
    np.testing.assert_array_equal(x.numpy(), before)
    optimizer.max_iterations = 100
    assert optimizer.step(closure) < 1e-6


# ---- state


@pytest.mark.parametrize("first", [0, 1, 3, 9])
def test_a_resumed_run_goes_on_bit_for_bit(gpu, first):
    options = dict(history=3, max_iterations=2)
    whole, loss = network(gpu)
    optimizer, closure = LBFGS(whole, **options), closure_of(loss, *whole)
    for _ in range(first):
        optimizer.step(closure)
    state, values = optimizer.state_dict(), [p.numpy() for p in whole]
    resumed, again = network(gpu)
    for p, v in zip(resumed, values, strict=True):
        p.assign(v)
    second = LBFGS(resumed, lr=0.3, **options)
    second.load_state_dict(state)
    assert (second.lr, second.iterations, second.evaluations) == (1.0, optimizer.iterations, optimizer.evaluations)
    for _ in range(3):
        assert optimizer.step(closure) == second.step(closure_of(again, *resumed))
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for a, b in zip(optimizer.state_dict().values(), second.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_holds_it(gpu, tmp_path):
    def made():
        model = gc.nn.Linear(3, 2, device=gpu, rng=4)
        x, y = gpu.tensor(np.arange(12.0).reshape(4, 3) / 9), gpu.tensor(np.ones((4, 2)))
        optimizer = LBFGS(model.parameters(), history=3, max_iterations=3)
        return model, optimizer, closure_of(lambda *_: ops.mse_loss(model(x) ** 2, y), *model.parameters())

    model, optimizer, closure = made()
    optimizer.step(closure)
    gc.train.Checkpoint.of(model, optimizer).save(tmp_path / "a.safetensors")
    again, resumed, other = made()
    gc.train.Checkpoint.load(tmp_path / "a.safetensors").restore(again, resumed)
    assert optimizer.step(closure) == resumed.step(other)
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_state_that_does_not_fit_changes_nothing(cpu):
    _, optimizer, closure = started(cpu, rosenbrock, START, history=2, max_iterations=4)
    optimizer.step(closure)
    before = optimizer.state_dict()
    wrong = [
        ({k: v for k, v in before.items() if k != "y.0"}, "y.0 are missing or foreign"),
        (before | {"s.0": np.zeros((2, 2))}, r"s.0 has shape \(2, 2\); wants \(3, 2\)"),
        (before | {"order": np.array([1, 1])}, r"order is \[1, 1\]; wants different slots below 3"),
        (before | {"order": np.array([1, 3])}, "wants different slots"),
        (before | {"gram": np.full((6, 6), nan)}, "gram holds NaN"),
        (before | {"lr": np.array([-1.0])}, "lr is -1"),
    ]
    for state, sentence in wrong:
        with pytest.raises(ConfigError, match=sentence):
            optimizer.load_state_dict(state)
    for a, b in zip(optimizer.state_dict().values(), before.values(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- the line search by itself


def line(f, slope):
    return lambda a: Trial(a, f(a), slope(a))


LINES = {  # Moré & Thuente 1994, functions 1 and 2, a parabola, a far minimum, a domain that ends
    "first": line(lambda a: -a / (a * a + 2), lambda a: (a * a - 2) / (a * a + 2) ** 2),
    "second": line(lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4, lambda a: 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3),
    "parabola": line(lambda a: (a - 3) ** 2, lambda a: 2 * (a - 3)),
    "far": line(lambda a: (a / 1e6 - 1) ** 2, lambda a: 2e-6 * (a / 1e6 - 1)),
    "domain": line(lambda a: 3 * a - np.log(a + 1e-3) if a < 0.5 else nan, lambda a: 3 - 1 / (a + 1e-3) if a < 0.5 else inf),
}


@pytest.mark.parametrize("name", list(LINES))
@pytest.mark.parametrize("c2", [0.9, 0.1])
@pytest.mark.parametrize("first", [1e-3, 1e-1, 1.0, 1e3])
def test_the_line_search_fulfils_both_conditions(name, c2, first):
    phi = LINES[name]
    start = phi(0.0)
    seen = []
    found = StrongWolfe(lambda a: seen.append(a) or phi(a), start, c1=1e-4, c2=c2, resolution=2e-16).search(phi(first))
    assert found.wolfe
    assert found.trial.loss <= start.loss + 1e-4 * found.trial.step * start.slope
    assert abs(found.trial.slope) <= c2 * abs(start.slope)
    assert len(seen) <= 24
    assert len(set(seen)) == len(seen)


def test_a_search_without_success_gives_the_best_or_nothing():
    rising = line(lambda a: a, lambda a: -1.0)
    found = StrongWolfe(rising, Trial(0.0, 0.0, -1.0), c1=1e-4, c2=0.9, resolution=0.0, trials=9).search(rising(1.0))
    assert found == (None, False)
    falling = line(lambda a: -a, lambda a: -1.0)
    found = StrongWolfe(falling, falling(0.0), c1=1e-4, c2=0.9, resolution=0.0, trials=5).search(falling(1.0))
    assert not found.wolfe
    assert found.trial.step > 1000
    never = line(lambda a: nan, lambda a: nan)
    assert StrongWolfe(never, Trial(0.0, 1.0, -1.0), c1=1e-4, c2=0.9, resolution=0.0).search(never(1.0)).trial is None


def test_the_cubic_has_its_minimum_where_it_should(rng):
    for _ in range(50):
        lowest, other, a, b = rng.standard_normal(4)
        if lowest < other:  # the integral of -(x - lowest)·(x - other) would have its minimum at the smaller root
            lowest, other = other, lowest
        c = np.polynomial.Polynomial.fromroots([lowest, other])
        f = c.integ()
        got = cubic_minimum(*(Trial(t, f(t), c(t)) for t in (a, b)))
        assert got == pytest.approx(lowest, rel=1e-6, abs=1e-6)
    assert cubic_minimum(Trial(0, 0, 1), Trial(0, 0, 1)) is None
    assert cubic_minimum(Trial(0, 0, -1), Trial(1, nan, 1)) is None
    assert cubic_minimum(Trial(0, 0, 1), Trial(1, 5, 1)) is None or isfinite(cubic_minimum(Trial(0, 0, 1), Trial(1, 5, 1)))


# ---- the references by hand, and refusals


def test_references_by_hand():
    flat = np.zeros(2)
    ref.combine_rows(flat, np.array([[1.0, 2.0], [nan, nan], [3.0, 4.0]]), np.array([2.0, 0.0, -1.0]), np.array([10.0, 20.0]))
    assert flat.tolist() == [9, 20]
    vectors, measures = np.zeros((6, 4)), np.zeros((1, 4))
    vectors[5] = [1, 1, 1, 1]
    ref.secant_pair(vectors, measures, np.array([1.0, -2, 0, 0]), np.zeros(4), np.array([3.0, 0, -5, 1]), slot=1, row=0)
    assert vectors[1].tolist() == [1, -2, 0, 0]
    assert vectors[3].tolist() == [2, -1, -6, 0]
    assert vectors[4].tolist() == [3, 0, -5, 1]
    assert measures.tolist() == [[3, 2, 9, 5]]
    partials = np.zeros((1, 6, 4))
    ref.dot_rows(vectors, np.array([1.0, 0, 0, 2]), partials, slot=1, row=0)
    assert partials[0, 1].tolist() == [5, 4, 3, 1]
    assert partials[0, 4].tolist() == [3, 36, 35, 5]
    assert not partials[0, [0, 2]].any()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: LBFGS(p, lr=-1), "LBFGS: lr is -1"),
        (lambda p: LBFGS(p, history=0), "LBFGS: history is 0; wants a whole number of 1 or more"),
        (lambda p: LBFGS(p, max_iterations=1.5), "max_iterations is 1.5"),
        (lambda p: LBFGS(p, max_evaluations=0), "max_evaluations is 0"),
        (lambda p: LBFGS(p, tolerance_grad=-1), "tolerance_grad is -1"),
        (lambda p: LBFGS(p, tolerance_change=nan), "tolerance_change is nan"),
        (lambda p: LBFGS(p, c1=0.5, c2=0.1), "c1 is 0.5 and c2 0.1; wants 0 < c1 < c2 < 1"),
        (lambda p: LBFGS([]), "LBFGS: got no parameters"),
        (lambda p: LBFGS(p).step([p[0]]), "LBFGS.step: got list; wants a function"),
        (lambda p: LBFGS(p).step(lambda: p[0]), "the closure returned Tensor; wants"),
    ],
)
def test_what_is_out_of_range_is_refused(gpu, make, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make([gpu.ones((3,))])


def test_wrong_gradients_losses_and_rows_are_refused(gpu):
    p = gpu.ones((3,))
    optimizer = LBFGS([p])
    with pytest.raises(ShapeError, match=r"LBFGS\.step: gradient 0 has shape \(4,\)"):
        optimizer.step(lambda: (gpu.ones((1,)), [gpu.ones((4,))]))
    with pytest.raises(ShapeError, match=r"the closure's loss is \(2,\); wants a tensor of one element"):
        optimizer.step(lambda: (gpu.ones((2,)), [p]))
    assert optimizer.evaluations == 0
    flat, vectors = gpu.ones((4,)), gpu.ones((4, 4))
    with pytest.raises(ShapeError, match="coefficients have shape"):
        K.combine_rows(flat, vectors, flat[:3])
    with pytest.raises(ShapeError, match="slot 1 and row 0; wants less than 1 and 2"):
        K.dot_rows(vectors, flat, gpu.ones((1, 4, 4)), slot=1, row=0)
    with pytest.raises(ShapeError, match=r"gradient has shape \(3,\); wants \(4,\)"):
        K.secant_pair(vectors, gpu.ones((1, 4)), flat, flat, flat[:3], slot=0, row=0)
