"""What a KAN refuses: one clear sentence each, and nothing is changed. Beside the tables of the other test_kan_* files."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.numpy

from gpucore import nn
from gpucore.errors import ConfigError, DTypeError, FormatError, GpucoreError, ShapeError
from gpucore.systems import kan

X, Y = np.zeros((4, 2), np.float32), np.zeros((4, 2), np.float32)


def make(device, **options):
    return kan.KanNetwork(kan.KanConfig(2, (3,), 2, **options), device=device)


def same(network, state):
    return all(np.array_equal(v, state[k]) for k, v in network.state_dict().items())


def one_sentence(caught):
    text = str(caught.value)
    assert text
    assert "\n" not in text
    assert "Traceback" not in text


# ---- settings

CONFIGS = [
    (dict(mean="abc"), "mean is 'abc'; wants a number, one per input, or None"),
    (dict(mean=["a", "b"]), r"mean is \['a', 'b'\]"),
    (dict(std={}), r"std is \{\}"),
    (dict(mean=[[1, 2], [3]]), "one per input"),
    (dict(mean=1e39), r"mean is 1e\+39; wants a finite number"),
    (dict(std=(1, 1e300)), r"std\[1\] is 1e\+300"),
    (dict(grid_range=(1e10, 1e10 + 1)), "one point in float32; wants it wider"),
    (dict(grid_range=(-3e38, 3e38)), "within 1e30 of zero"),
    (dict(base=True), "base is True"),
    (dict(base=["silu"]), "wants None or 'silu'"),
    (dict(degree=3.0), r"degree is 3\.0"),
    (dict(hidden_dims=(2.0,)), r"hidden_dims\[0\] is 2\.0"),
    (dict(seed="x"), "seed is 'x'"),
]


@pytest.mark.parametrize(("fault", "sentence"), CONFIGS, ids=[str(f) for f, _ in CONFIGS])
def test_configurations(fault, sentence):
    with pytest.raises(ConfigError, match=sentence) as caught:
        kan.KanConfig(**{"input_dim": 2, **fault})
    one_sentence(caught)


def test_whole_numbers_of_numpy_go_through_a_file(gpu, tmp_path):
    config = kan.KanConfig(np.int64(2), np.array([3]), np.int32(1), grid_size=np.int64(4), degree=np.uint8(2), seed=np.int64(5))
    network = kan.KanNetwork(config, device=gpu)
    network.save(tmp_path / "network")
    assert kan.KanNetwork.load(tmp_path / "network", device=gpu).config == config


SAMPLES = [
    ([["a", "b"]], DTypeError, "wants numbers"),
    ([[1, 2], [3]], ShapeError, "differ in length"),
    (X * 1j, DTypeError, "complex64; wants numbers"),
    (np.array([["2020-01-01"] * 2], "datetime64[D]"), DTypeError, "datetime64"),
    ([[1, np.nan]], DTypeError, "row 0, column 1 of samples is nan"),
    ({}, DTypeError, "wants numbers"),
]


@pytest.mark.parametrize(("samples", "error", "sentence"), SAMPLES, ids=[s for _, _, s in SAMPLES])
def test_samples(gpu, samples, error, sentence):
    network = make(gpu)
    before = network.state_dict()
    for take in (kan.KanConfig(2).standardized, network.update_grid, lambda s: kan.BakedKan.of(network, samples=s)):
        with pytest.raises(error, match=sentence) as caught:
            take(samples)
        one_sentence(caught)
    assert same(network, before)


TRAINING = [
    (dict(lr=np.nan), "lr is nan"),
    (dict(lr="a"), "lr is 'a'"),
    (dict(weight_decay=np.nan), "weight_decay is nan"),
    (dict(max_grad_norm="a"), "max_grad_norm is 'a'"),
    (dict(max_grad_norm=np.nan), "max_grad_norm is nan"),
    (dict(loss=5), "loss is 5"),
    (dict(loss=["mse"]), r"loss is \['mse'\]; wants one of mse"),
    (dict(optimizer=5), "optimizer is 5"),
    (dict(optimizer=None), "optimizer is None"),
]
FITTING = [
    (dict(epochs=-1), "epochs is -1; wants a whole number of 0 or more"),
    (dict(epochs=1.5), r"epochs is 1\.5"),
    (dict(epochs="a"), "epochs is 'a'"),
    (dict(batch_size="a"), "batch_size is 'a'; wants a whole number of 1 or more"),
    (dict(batch_size=2.5), r"batch_size is 2\.5"),
    (dict(seed=-1), "seed is -1"),
    (dict(seed="x"), "seed is 'x'"),
    (dict(validation=5), "validation is a int; wants"),
    (dict(validation="x"), "validation is a str"),
    (dict(validation=X), "validation is a ndarray"),
    (dict(validation={1: 2}), "validation is a dict"),
    (dict(validation=(X,)), "validation has 1 parts"),
]


@pytest.mark.parametrize(("fault", "sentence"), [*TRAINING, *FITTING], ids=[str(f)[:40] for f, _ in [*TRAINING, *FITTING]])
def test_settings_of_a_training(gpu, fault, sentence):
    network = make(gpu)
    before = network.state_dict()
    calls = [lambda: kan.fit(network, X, Y, **{"epochs": 1, **fault})]
    if (fault, sentence) in TRAINING:
        calls.append(lambda: network.train_step(X, Y, **fault))
    for call in calls:
        with pytest.raises(GpucoreError, match=sentence) as caught:
            call()
        one_sentence(caught)
    assert same(network, before)


# ---- numbers


def test_numbers_that_float32_does_not_hold(gpu):
    """As inputs of a forward pass they are beyond the grid; in training data they are an error with row and column."""
    network, ends = make(gpu), make(gpu)
    big = np.array([[1e300, 0.5], [-1e300, 0.5]])
    assert np.array_equal(network(big).numpy(), ends(np.array([[1, 0.5], [-1, 0.5]])).numpy())
    assert network.out_of_range(big)[0][1:3] == (1, 1)
    before = network.state_dict()
    x, y, mask = np.zeros((4, 2)), np.zeros((4, 2)), np.ones((4, 2))
    for given, name in ((x, "x"), (y, "y"), (mask, "mask")):
        given[2, 1] = 1e39
        for take in (lambda: network.train_step(x, y, mask=mask), lambda: kan.fit(network, x, y, mask=mask, epochs=1)):
            with pytest.raises(
                DTypeError, match=rf"row 2, column 1 of {name} is 1e\+39; wants numbers within the range of float32"
            ) as caught:
                take()
            one_sentence(caught)
        given[2, 1] = 0
    assert same(network, before)
    assert np.isfinite(network.train_step(x, y, mask=mask).item())


# ---- files


def small(device):
    return kan.KanNetwork(kan.KanConfig(1, (), 1, grid_size=2, degree=1, base="silu", mean=0.5, std=2.0), device=device)


def test_a_file_cut_at_any_byte(cpu, tmp_path):
    network, path, cut = small(cpu), tmp_path / "network", tmp_path / "cut"
    network.save(path)
    data, before = path.read_bytes(), network.state_dict()
    for size in range(len(data)):
        cut.write_bytes(data[:size])
        for take in (network.restore, lambda p: kan.KanNetwork.load(p, device=cpu)):
            with pytest.raises(FormatError, match="damaged or no safetensors") as caught:
                take(cut)
            one_sentence(caught)
    assert same(network, before)
    baked = kan.BakedKan.of(network).to_bytes()
    for size in range(len(baked)):
        with pytest.raises(FormatError, match="BakedKan"):
            kan.BakedKan.from_bytes(baked[:size], device=cpu)
    for more in (b"\0", b"x" * 100):
        cut.write_bytes(data + more)
        with pytest.raises(FormatError, match="damaged or no safetensors"):
            network.restore(cut)


def test_a_file_with_any_byte_changed(cpu, tmp_path):
    """It loads, with numbers that may be others, or is refused with one sentence, and then nothing is changed."""
    network, path, bad = small(cpu), tmp_path / "network", tmp_path / "bad"
    network.save(path)
    data, before = path.read_bytes(), network.state_dict()
    said = []
    for at in range(len(data)):
        for value in (0x22, data[at] ^ 0x81):
            bad.write_bytes(data[:at] + bytes([value]) + data[at + 1 :])
            try:
                network.restore(bad)
                network.restore(path)
            except FormatError as error:
                said.append(str(error))
                if at % 10 == 0:
                    assert same(network, before)
    assert len(said) > len(data)
    baked = kan.BakedKan.of(network).to_bytes()
    for at in range(0, len(baked), 3):
        try:
            kan.BakedKan.from_bytes(baked[:at] + bytes([baked[at] ^ 0x80]) + baked[at + 1 :], device=cpu)
        except FormatError as error:
            said.append(str(error))
    assert same(network, before)
    assert not any("\n" in text for text in said)


def test_files_of_other_kinds(gpu, tmp_path):
    """A checkpoint of a training, the weights of another model, a baked copy: refused whole, both ways round."""
    network = make(gpu)
    kan.fit(network, X, Y, epochs=1, checkpoint_dir=tmp_path)
    (tmp_path / "baked").write_bytes(kan.BakedKan.of(network).to_bytes())
    other = nn.Linear(2, 3, device=gpu)
    (tmp_path / "linear").write_bytes(safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in other.state_dict().items()}))
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    before = network.state_dict()
    for name in ("last.safetensors", "baked", "linear", "picture", "empty", "folder", "absent"):
        for take in (network.restore, lambda p: kan.KanNetwork.load(p, device=gpu)):
            with pytest.raises(FormatError) as caught:
                take(tmp_path / name)
            one_sentence(caught)
            assert name in str(caught.value)
    assert same(network, before)
    network.save(tmp_path / "network")
    for name in ("network", "linear", "picture", "empty"):
        with pytest.raises(FormatError, match="BakedKan: the bytes are") as caught:
            kan.BakedKan.from_bytes((tmp_path / name).read_bytes(), device=gpu)
        one_sentence(caught)
