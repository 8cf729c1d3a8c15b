"""Training by L-BFGS on all data at once, and races over refining grids."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import gpucore as gc
from gpucore import train
from gpucore.errors import ConfigError, DTypeError, ShapeError
from gpucore.systems import kan
from gpucore.systems.kan.full_batch import FullBatch
from gpucore.systems.kan.functions import CASES, FunctionCase, Regression, case_named
from gpucore.systems.kan.refinement import Attempt, Schedule, Stage, begin, go_on, race

SMALL = kan.KanConfig(2, (2,), 1, base="silu", seed=1)


def problem(n=80, seed=0):
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 2)).astype(np.float32)
    return x, (x[:, :1] * x[:, 1:]).astype(np.float32)


def same(network, state):
    return all(np.array_equal(v, state[k]) for k, v in network.state_dict().items())


def mean_square(network, x, y):
    return float(((network(x).numpy().astype(np.float64) - y) ** 2).mean())


@pytest.mark.parametrize("name", ["gpu", "cpu"])
def test_a_sinusoid_to_the_line_of_the_specification(name, request):
    """Mean square error below 1e-5; the best cubic spline of 16 cells has 1e-10 of sin(πx), float32 adds its rounding."""
    x = np.linspace(-1, 1, 200, dtype=np.float32)[:, None]
    y = np.sin(np.pi * x)
    network = kan.KanNetwork(kan.KanConfig(1, (), 1, grid_size=16), device=request.getfixturevalue(name))
    history = kan.fit(network, x, y, optimizer="lbfgs", epochs=20)
    assert mean_square(network, x, y) < 1e-9
    assert history["loss"][-1] == pytest.approx(mean_square(network, x, y), rel=1e-2, abs=1e-12)
    assert len(history) < 20  # ended where no step was better


def test_history_validation_and_early_stopping(gpu):
    (x, y), held = problem(), problem(40, 1)
    network = kan.KanNetwork(SMALL, device=gpu)
    seen = []

    class Watch(train.Silent):
        def end(self, record, epochs):
            seen.append(record["epoch"])

    history = kan.fit(
        network, x, y, optimizer="lbfgs", epochs=6, validation=held, metrics={"r2": kan.r2}, grid_updates=2, progress=Watch(),
    )  # fmt: skip
    assert history.names == ["epoch", "step", "evaluations", "loss", "seconds", "samples_per_second", "val_loss", "val_r2"]
    assert seen == history["epoch"]
    assert history["val_loss"][-1] == pytest.approx(mean_square(network, *held), rel=1e-3)
    assert history["val_r2"][-1] > 0.99
    losses = history["loss"]
    assert all(b <= a for a, b in pairwise(losses[2:]))
    assert network.layers[1].grid.range != SMALL.grid_range
    stopped = kan.fit(network, x, y, optimizer="lbfgs", epochs=9, early_stopping=train.EarlyStopping(1, min_delta=1e9, monitor="loss"))
    assert len(stopped) == 2


def test_predictions_come_in_batches(gpu):
    network, x = kan.KanNetwork(SMALL, device=gpu), problem()[0]
    whole = network(x).numpy()
    for rows in (80, 33, 1):
        found = kan.predict(network, x, rows=rows)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, whole, rtol=1e-6, atol=1e-6)
    for wrong, error in ((dict(x=x[:0]), ShapeError), (dict(x=x[:, :1]), ShapeError), (dict(x=x, rows=0), ConfigError)):
        with pytest.raises(error, match="predict: "):
            kan.predict(network, **wrong)
    np.testing.assert_allclose(kan.predict(network, x, rows=7, then=lambda y: y * 2.0), 2 * whole, rtol=1e-6, atol=1e-6)


def test_classes_are_measured_by_their_accuracy(gpu):
    x, labels = problem()[0], np.arange(80) % 3
    histories = [
        kan.fit(kan.KanNetwork(kan.KanConfig(2, (), 3), device=gpu), x, labels, loss="cross_entropy", epochs=1, validation=held, **more)
        for held, more in (((x, labels), {}), ((x, labels), {"optimizer": "lbfgs"}), (None, {"optimizer": "lbfgs"}))
    ]
    assert ["val_accuracy" in history.records[0] for history in histories] == [True, True, False]
    assert 0 < histories[1]["val_accuracy"][0] <= 1


def test_a_mask_and_measures_of_the_coefficients(gpu):
    x, y = problem()
    holes = y.copy()
    holes[::2] = np.nan
    masked, plain = (kan.KanNetwork(SMALL, device=gpu) for _ in range(2))
    loss = kan.KanLoss("mse", l1=1e-3)
    a = kan.fit(masked, x, holes, mask=np.isfinite(holes), loss=loss, optimizer="lbfgs", epochs=2)
    b = kan.fit(plain, x[1::2], y[1::2], loss=loss, optimizer="lbfgs", epochs=2)
    assert a["loss"][-1] == pytest.approx(b["loss"][-1], rel=0.05)
    term = 1e-3 * sum(kan.l1_sparsity(layer.coefficients).item() for layer in plain.layers)
    assert b["loss"][-1] == pytest.approx(mean_square(plain, x[1::2], y[1::2]) + term, rel=1e-3)


def test_what_lbfgs_does_not_take(gpu):
    x, y = problem(8)
    network = kan.KanNetwork(SMALL, device=gpu)
    before = network.state_dict()
    holed = x.copy()
    holed[3, 1] = np.nan
    for more, error, sentence in (
        (dict(batch_size=4), ConfigError, "has no batch_size"), (dict(schedule=lambda step: 1.0), ConfigError, "has no schedule"),
        (dict(max_grad_norm=1.0), ConfigError, "has no max_grad_norm"), (dict(weight_decay=0.1), ConfigError, "has no weight_decay"),
        (dict(resume=True), ConfigError, "has no resume"), (dict(epochs=-1), ConfigError, "epochs is -1"),
        (dict(grid_updates=-1), ConfigError, "grid_updates is -1"),
        (dict(x=holed), DTypeError, "KanNetwork.fit: row 3, column 1 of x is nan"),
        (dict(y=y[:3]), ShapeError, r"KanNetwork.fit: y has shape \(3, 1\)"), (dict(y=None), ConfigError, "got x alone"),
        (dict(x=x + 5), ConfigError, "no value of x lies inside the first grid"),
        (dict(validation=(x,)), ConfigError, "validation wants"),
        (dict(early_stopping=train.EarlyStopping()), ConfigError, "monitors 'val_loss'"),
        (dict(optimizer=gc.optim.LBFGS([gpu.zeros((2,))])), ConfigError, "give optimizer='lbfgs'"),
    ):  # fmt: skip
        settings = dict(x=x, y=y, optimizer="lbfgs", epochs=1) | more
        with pytest.raises(error, match=sentence):
            kan.fit(network, settings.pop("x"), settings.pop("y"), **settings)
    with pytest.raises(ConfigError, match="grid_updates goes with optimizer='lbfgs'"):
        kan.fit(network, x, y, epochs=1, grid_updates=1)
    with pytest.raises(ConfigError, match="no parameters to train"):
        FullBatch(kan.KanNetwork(SMALL, device=gpu).freeze(), lambda network: None, [])
    assert same(network, before)


def test_a_loss_that_is_not_finite_changes_nothing(gpu):
    x, y = problem(8)
    network = kan.KanNetwork(SMALL, device=gpu)
    before = network.state_dict()
    with pytest.raises(train.TrainingDivergedError, match="nothing was changed"):
        kan.fit(network, x, y, optimizer="lbfgs", epochs=2, loss=lambda output, target, mask: gc.ops.sum(output) * float("nan"))
    assert same(network, before)


def test_float64_on_the_numpy_device_goes_below_float32(cpu):
    x, y = problem()
    network = kan.KanNetwork(SMALL, device=cpu, dtype="float64")
    kan.fit(network, x, y, optimizer="lbfgs", epochs=10, grid_updates=2)
    assert network(x.astype(np.float64)).dtype.name == "float64"
    assert mean_square(network, x.astype(np.float64), y) < 1e-5


def test_a_training_goes_on_after_refinement(gpu):
    x, y = problem()
    network = kan.KanNetwork(SMALL, device=gpu)
    run = FullBatch(network, lambda network, x, y: gc.ops.mse_loss(network(x), y), [gpu.tensor(x), gpu.tensor(y)])
    first = run.run(10)
    assert run.dispatches > 0
    network.refine(10)
    second = run.run(10)
    assert second <= first * 1.01
    assert run.trace == [(10, first), (run.iterations, second)]
    assert run.evaluations >= run.iterations


# ---- races


@pytest.mark.parametrize("name", ["gpu", "cpu"])
def test_lines_of_the_specification_on_coarse_grids(name, request):
    """exp(sin πx + y²) on 3 and 10 cells; `gpucore run kan function` shows all grids and five seeds."""
    case = CASES["exp-sin"]
    data = Regression(case)
    attempts = race(data, request.getfixturevalue(name), [4], (3, 10), schedule=Schedule(iterations=200))
    errors = [stage.errors["test"] for stage in attempts[0].stages]
    assert errors[0] <= case.lines[3]
    assert errors[1] <= case.lines[10]
    x, y = data.test
    assert errors[1] == pytest.approx(mean_square(attempts[0].network, x, y) ** 0.5, rel=1e-6)
    stage = attempts[0].stages[1]
    assert stage.errors["train"] == pytest.approx(stage.loss**0.5, rel=1e-2)


def test_a_race_goes_on_with_the_best(gpu):
    case = FunctionCase("line", "x", lambda x: x[:, 0], (1, 1), (2, 4), train=20, test=20)
    seen = []
    schedule = Schedule(iterations=5, part=5, warm=1, warm_iterations=1)
    attempts = race(
        Regression(case), gpu, range(5), case.grids, keep=1, schedule=schedule, show=lambda a: seen.append((a.seed, len(a.stages)))
    )
    assert [len(a.stages) for a in attempts] == [2, 1, 1, 0, 0]
    assert [seed for seed, _ in seen[:5]] == [0, 1, 2, 3, 4]
    assert attempts[0].network.layers[0].grid.size == 4
    assert [a.loss for a in attempts[1:3]] == sorted(a.loss for a in attempts[1:3])
    assert len(race(Regression(case), gpu, [3], [2], keep=None, schedule=schedule)[0].stages) == 1


def test_those_go_on_that_are_best_after_the_first_grid(gpu):
    """Seed 0 begins with the least loss, and has more of it than seed 1 once both have trained on the first grid."""
    case = FunctionCase("line", "x", lambda x: x[:, 0], (1, 1), (2, 4), train=20, test=20)
    recorded = []

    class Turning(Regression):
        def objective(self, network, x, y):
            seed = network.config.seed
            recorded.append(seed)
            return super().objective(network, x, y) + (10.0 + seed if recorded.count(seed) == 1 else 10.0 - seed)

    attempts = race(Turning(case), gpu, range(3), (2, 4), keep=1, schedule=Schedule(warm=1, iterations=5, part=5))
    assert [(a.seed, len(a.stages)) for a in attempts] == [(1, 2), (0, 1), (2, 0)]


def test_an_attempt_that_diverges_ends_alone(gpu):
    case = FunctionCase("line", "x", lambda x: x[:, 0], (1, 1), (2,), train=20, test=20)

    class Spoiled(Regression):
        def objective(self, network, x, y):
            value = super().objective(network, x, y)
            return value * float("nan") if network.config.seed == 1 else value

    schedule = Schedule(iterations=5, part=5)
    attempts = race(Spoiled(case), gpu, [0, 1], [2], schedule=schedule)
    assert [a.seed for a in attempts] == [0, 1]
    assert "not finite" in attempts[1].failed
    assert attempts[1].loss == float("inf")
    with pytest.raises(train.TrainingDivergedError, match="no network is left; seed 1"):
        race(Spoiled(case), gpu, [1], [2], schedule=schedule)


def test_what_a_race_refuses(gpu):
    data = Regression(CASES["sinusoid"])
    for seeds, grids, more, sentence in (
        ([], [3], {}, "got 0 seeds"), ([0], [3], dict(keep=0), "of which 0 go on"), ([0], [], {}, "wants growing numbers"),
        ([0], [5, 5], {}, r"grids are \[5, 5\]; wants growing"),
        ([0], [3, 129], {}, "wants growing numbers of cells, 2 to 128"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=sentence):
            race(data, gpu, seeds, grids, **more)
    for fault, sentence in ((dict(part=0), "part is 0"), (dict(scale=np.nan), "scale is nan"), (dict(margin=-1.0), "margin is -1.0")):
        with pytest.raises(ConfigError, match=f"Schedule: {sentence}"):
            Schedule(**fault)
    assert len(kan.fit_lbfgs(kan.KanNetwork(SMALL, device=gpu), *problem(), epochs=np.int64(1))) == 1, "as fit takes it"
    with pytest.raises(ConfigError, match="name is 'tan'; wants one of exp-sin"):
        case_named("tan")


def test_samples_of_a_case(cpu):
    data, other = Regression(CASES["exp-sin4"], seed=3), Regression(CASES["exp-sin4"], seed=4)
    (x, y), (held, _) = data.train, data.test
    assert x.shape == (3000, 4)
    assert held.shape == (1000, 4)
    assert y.shape == (3000, 1)
    a, b, c, d = x.astype(np.float64).T
    assert np.allclose(y[:, 0], np.exp((np.sin(np.pi * (a**2 + b**2)) + np.sin(np.pi * (c**2 + d**2))) / 2))
    for more in (held, other.train[0]):
        assert abs(np.corrcoef(more[:1000].ravel(), x[:1000].ravel())[0, 1]) < 0.1
    assert np.array_equal(x, Regression(CASES["exp-sin4"], seed=3).samples)
    assert set(CASES["exp-sin"].lines) == set(CASES["exp-sin"].grids)


def test_an_attempt_counts_its_beginning(cpu):
    data = Regression(CASES["sinusoid"])
    schedule = Schedule(warm=1, warm_iterations=3, iterations=4)
    attempt = begin(data, cpu, 0, 5, schedule)
    begun = attempt.spent[1]
    assert begun >= 4
    assert attempt.stages == []
    assert go_on(data, attempt, 5, schedule)
    assert isinstance(attempt, Attempt)
    assert isinstance(attempt.stages[0], Stage)
    assert attempt.stages[0].evaluations > begun
    assert attempt.spent == (0, 0, 0.0)
