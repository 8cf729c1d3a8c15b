"""The MNIST system: models, training, sanity, parity, pictures, and their commands; on scikit-learn's digits."""

from __future__ import annotations

import csv
import json
from math import prod

import numpy as np
import pytest

import gpucore as gc
from gpucore import cli
from gpucore.errors import ConfigError
from gpucore.systems.mnist import pictures
from gpucore.systems.mnist.images import MEAN, STD, load_images
from gpucore.systems.mnist.models import MODELS, make_model
from gpucore.systems.mnist.parity import compare, forward_slices, kernel_slices
from gpucore.systems.mnist.sanity import overfit
from gpucore.systems.mnist.training import OPTIMIZERS, RATES, SCHEDULES, Settings, loss_curve, make_optimizer, make_schedule, predict, train

MLP = Settings(model="mlp", batch=32)


@pytest.fixture(scope="module")
def digits():
    return load_images(digits=True)


@pytest.fixture(scope="module")
def few():
    return load_images(digits=True, limit=64)


# ---- images and models


def test_digits_are_normalised_by_the_training_images(digits):
    assert digits.train.x.shape[1:] == (1, 28, 28)
    assert abs(digits.train.x.mean()) < 1e-5
    assert abs(digits.train.x.std() - 1) < 1e-5
    pixels = digits.pixels()
    assert pixels.shape == (len(digits.test), 28, 28)
    assert -1e-6 < pixels.min() < 1e-6
    assert abs(pixels.max() - 1) < 1e-6


def test_mnist_is_normalised_by_its_own_mean(monkeypatch):
    data = gc.data.ArrayDataset(np.linspace(0, 1, 5 * 784).reshape(5, 1, 28, 28), np.arange(5))
    monkeypatch.setattr("gpucore.systems.mnist.images.load_mnist", lambda *args, **options: (data, data))
    images = load_images(limit=3)
    assert (len(images.train), len(images.test)) == (3, 3)
    np.testing.assert_allclose(images.train.x, (data.x[:3] - MEAN) / STD, rtol=1e-6)


@pytest.mark.parametrize("limit", [0, -3])
def test_limit_must_be_positive(limit):
    with pytest.raises(ConfigError, match="limit is"):
        load_images(digits=True, limit=limit)


@pytest.mark.parametrize(("name", "count"), [("mlp", 784 * 128 + 128 + 128 * 10 + 10), ("lenet", 61706)])
def test_models_have_the_papers_sizes(gpu, cpu, name, count):
    on_gpu, on_cpu = make_model(name, gpu, seed=3), make_model(name, cpu, seed=3)
    assert sum(prod(p.shape) for p in on_gpu.parameters()) == count
    x = np.random.default_rng(0).standard_normal((3, 1, 28, 28), np.float32)
    assert on_gpu(gpu.tensor(x)).shape == (3, 10)
    assert [len(on_gpu.layers())] == [len(on_gpu.outputs(gpu.tensor(x)))]
    other = make_model(name, cpu, seed=4).state_dict()
    for key, values in on_gpu.state_dict().items():
        np.testing.assert_array_equal(values, on_cpu.state_dict()[key])
        assert key.endswith("bias") or not np.array_equal(values, other[key])


def test_lenet_layers_have_the_papers_shapes(cpu):
    outputs = make_model("lenet", cpu).outputs(cpu.zeros((2, 1, 28, 28)))
    assert [o.shape[1:] for o in outputs] == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (400,), (120,), (84,), (10,)]


@pytest.mark.parametrize(
    "wrong", [dict(optimizer="lion"), dict(schedule="never"), dict(epochs=0), dict(batch=0), dict(model="resnet"), dict(lr=-1.0)]
)
def test_wrong_settings_are_refused(cpu, few, wrong):
    with pytest.raises(ConfigError):
        train(cpu, few, Settings(**(dict(epochs=1) | wrong)))


# ---- optimizers and schedules


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns(cpu, few, name):
    losses = loss_curve(cpu, few, Settings(model="mlp", optimizer=name, batch=32), 30)
    assert losses[-1] < 0.5 * losses[0]


def test_optimizers_are_those_named(cpu):
    made = {name: make_optimizer(make_model("mlp", cpu), Settings(optimizer=name, weight_decay=0.1)) for name in OPTIMIZERS}
    assert {name: type(o).__name__ for name, o in made.items()} == dict(
        sgd="SGD", momentum="SGD", nesterov="SGD", adam="Adam", adamw="AdamW"
    )
    assert [(made[n].momentum, made[n].nesterov) for n in ("sgd", "momentum", "nesterov")] == [(0.0, False), (0.9, False), (0.9, True)]
    assert all(o.lr == RATES["lenet"][name] and o.weight_decay == 0.1 for name, o in made.items())


def test_schedules_end_where_they_say():
    ends = {name: make_schedule(Settings(schedule=name, lr=1.0), 90) for name in SCHEDULES}
    assert ends["constant"] is None
    assert ends["cosine"](0) == 1.0
    assert ends["cosine"](90) == pytest.approx(0, abs=1e-12)
    assert ends["warmup"](8) == 1.0
    assert ends["warmup"](90) == pytest.approx(0, abs=1e-12)
    assert [ends["step"](s) for s in (59, 60)] == [1.0, pytest.approx(0.1)]


# ---- training


def test_mlp_learns_the_digits(cpu, digits):
    result = train(cpu, digits, Settings(model="mlp", batch=32, epochs=4, optimizer="adam"))
    assert result.accuracy > 0.93
    assert result.accuracy == pytest.approx(result.history["val_accuracy"][-1], abs=1e-6)
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, atol=1e-5)


def test_gpu_and_numpy_train_alike_and_the_gpu_repeats_itself(gpu, cpu, digits):
    settings = Settings(model="lenet", batch=16)
    first, second = (loss_curve(gpu, digits, settings, 8) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, loss_curve(cpu, digits, settings, 8), rtol=1e-4)


def test_curve_goes_on_over_several_epochs(cpu, few):
    assert len(loss_curve(cpu, few, MLP, 5)) == 5


def test_training_leaves_its_results(gpu, few, tmp_path, capsys):
    code = cli.main(["run", "mnist", "--digits", "--limit", "64", "--model", "mlp", "--epochs", "2", "--batch", "32", "--json",
                     "--device", str(gpu.info.index), "--out", str(tmp_path)])  # fmt: skip
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert code == 0
    assert "epoch" in err
    assert found["steps"] == 4
    assert found["settings"]["lr"] == RATES["mlp"]["momentum"]
    assert all((tmp_path / name).stat().st_size > 0 for name in ("last.safetensors", "best.safetensors", "history.csv", "history.json"))
    assert json.loads((tmp_path / "result.json").read_text())["accuracy"] == pytest.approx(found["accuracy"])
    rows = list(csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines()))
    assert [int(r["label"]) for r in rows] == few.test.y.tolist()
    assert np.mean([r["label"] == r["predicted"] for r in rows]) == pytest.approx(found["accuracy"])
    for name in ("curves", "confusion", "errors", "samples"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_checkpoint_holds_the_trained_model(cpu, few, tmp_path):
    result = train(cpu, few, Settings(model="mlp", batch=32, epochs=1), out=tmp_path)
    model = make_model("mlp", cpu, seed=9)
    gc.train.Checkpoint.load(tmp_path / "last.safetensors").restore(model)
    np.testing.assert_array_equal(predict(model, few.test), result.probabilities)


def test_a_resumed_training_is_that_of_one_piece(cpu, few, tmp_path):
    one = Settings(model="mlp", batch=32, epochs=1, schedule="constant")
    two = Settings(model="mlp", batch=32, epochs=2, schedule="constant")
    train(cpu, few, one, out=tmp_path)
    resumed = train(cpu, few, two, out=tmp_path, resume=True)
    np.testing.assert_array_equal(resumed.probabilities, train(cpu, few, two).probabilities)
    assert len(resumed.history) == 2


# ---- sanity


@pytest.mark.parametrize("name", MODELS)
def test_one_batch_is_learned_by_heart(gpu, digits, name):
    found = overfit(gpu, digits, Settings(model=name, batch=32))
    assert found.passed, found.sentence()
    assert found.accuracy == 1.0
    assert found.losses[-1] < 0.01 < found.losses[0]


def test_sanity_fails_when_nothing_is_learned(capsys):
    code = cli.main(["run", "mnist", "sanity", "--digits", "--model", "mlp", "--lr", "0", "--steps", "11", "--device", "cpu", "--json"])
    out, err = capsys.readouterr()
    assert code == 1
    assert err.splitlines()[-1].startswith("gpucore: mnist sanity: loss ")
    assert json.loads(out)["passed"] is False
    assert len(json.loads(out)["losses"]) == 11


# ---- parity


def test_all_slices_agree(gpu, digits, capsys):
    options = ["--digits", "--curve-steps", "5", "--batch", "32", "--device", str(gpu.info.index), "--json"]
    code = cli.main(["run", "mnist", "parity", *options])
    out, err = capsys.readouterr()
    slices = json.loads(out)["slices"]
    assert code == 0, err
    assert all(s["passed"] for s in slices)
    names = {(s["part"], s["name"]) for s in slices}
    assert len(names) == len(slices)
    for part, name in MODELS.items():
        parameters = name(device=gpu).named_parameters()
        assert {(part, f"{p} {what}") for p in parameters for what in ("gradient", "after a step")} <= names
        assert (part, "loss curve, 5 steps") in names
    assert {("kernels", n) for n in ("im2col", "max_pool2d places", "cross_entropy gradient")} <= names


@pytest.mark.parametrize(("kernel", "factor", "caught"), [("conv2d", 1.0001, "conv1 output"), ("matmul", 1.0001, "fc1 output")])
def test_a_wrong_kernel_is_caught(gpu, few, monkeypatch, kernel, factor, caught):
    right = gc.KERNELS[kernel].ref
    monkeypatch.setattr(gc.KERNELS[kernel], "ref", lambda *args, **options: right(*args, **options) * factor)
    slices = forward_slices("lenet", make_model("lenet", gpu), gpu.tensor(few.train.x[:4]))
    assert caught in [s.name for s in slices if not s.passed]


def test_wrong_pooling_places_are_caught(gpu, few, monkeypatch):
    right = gc.KERNELS["max_pool2d"].ref

    def wrong(*args, **options):
        values, places = right(*args, **options)
        return values, places - (places == places.max())

    monkeypatch.setattr(gc.KERNELS["max_pool2d"], "ref", wrong)
    slices = kernel_slices(gpu, gpu.tensor(few.train.x[:4]), gpu.tensor(few.train.y[:4]), seed=0)
    assert "max_pool2d places" in [s.name for s in slices if not s.passed]


def test_parity_refuses_to_compare_numpy_with_itself(cpu, few):
    with pytest.raises(ConfigError, match="is the reference itself"):
        compare(cpu, few, ["mlp"], MLP)


# ---- pictures


def test_confusion_matrix_counts_true_by_predicted():
    counts = pictures.confusion_matrix(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 2]), classes=3)
    np.testing.assert_array_equal(counts, [[1, 1, 0], [0, 1, 0], [1, 0, 1]])


def test_worst_errors_come_first():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.99, 0.01], [0.2, 0.8]])
    np.testing.assert_array_equal(pictures.worst_errors(np.array([1, 0, 1, 1]), probabilities, 2), [2, 0])


def test_a_faultless_classifier_has_a_picture_too(tmp_path):
    pictures.draw_errors(np.zeros((2, 4, 4)), np.array([0, 1]), np.eye(2), tmp_path / "errors.png", "perfect")
    assert (tmp_path / "errors.png").stat().st_size > 0


# ---- commands


def test_data_and_digits_exclude_each_other(capsys):
    assert cli.main(["run", "mnist", "--digits", "--data", "somewhere"]) == 1
    assert "exclude each other" in capsys.readouterr().err


def test_missing_data_is_one_sentence(capsys, tmp_path):
    assert cli.main(["run", "mnist", "--data", str(tmp_path), "--device", "cpu"]) == 1
    assert "has no train-images-idx3-ubyte" in capsys.readouterr().err


@pytest.fixture
def no_mnist(monkeypatch, tmp_path):
    """A machine without MNIST where no network may be touched."""

    def refuse(*args, **options):
        raise AssertionError("the demo went to the network")

    monkeypatch.delenv("GPUCORE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.mark.parametrize("wanted", [0.0, 1.1])
def test_demo_checks_trains_and_draws_without_a_network(gpu, no_mnist, monkeypatch, tmp_path, capsys, wanted):
    monkeypatch.setattr("gpucore.cli.demo.WANTED", wanted)
    monkeypatch.setattr("gpucore.cli.demo.DIGITS", dict(batch=64, epochs=1))
    code = cli.main(["demo", "--device", str(gpu.info.index), "--out", str(tmp_path / "demo"), "--json"])
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert code == (0 if wanted == 0 else 1), err
    assert found["passed"] is (wanted == 0)
    assert {k["kernel"] for k in found["kernels"]} >= {"matmul", "conv2d", "softmax"}
    assert all(c["passed"] for c in (*found["kernels"], *found["slices"]))
    assert "MNIST is not on this machine" in err
    assert (tmp_path / "demo" / "confusion.png").exists()


def test_demo_on_numpy_says_that_there_is_nothing_to_check(no_mnist, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("gpucore.cli.demo.WANTED", 0.0)
    monkeypatch.setattr("gpucore.cli.demo.DIGITS", dict(batch=64, epochs=1))
    assert cli.main(["demo", "--device", "cpu", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "the reference of all checks" in out
    assert "test accuracy" in out
