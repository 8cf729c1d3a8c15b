from __future__ import annotations

import numpy as np
import pytest

from gpucore import nn
from gpucore.errors import ConfigError, DTypeError, FormatError, ShapeError


class Net(nn.Module):
    """Everything that a module can hold."""

    def __init__(self, device):
        rng = np.random.default_rng(0)
        self.first = nn.Linear(4, 3, rng=rng, device=device)
        self.layers = [nn.Linear(3, 3, rng=rng, device=device), nn.Dropout(0.5, rng=rng, device=device)]
        self.heads = {"a": nn.Linear(3, 2, bias=False, rng=rng, device=device)}
        self.scale = nn.parameter(np.ones(3, np.float32), device, "scale")
        self.count = device.zeros(2)
        self.tied = self.first.weight
        self._cache = device.zeros(5)
        self.width = 3

    def forward(self, x):
        for layer in (self.first, *self.layers):
            x = layer(x)
        return self.heads["a"](x * self.scale)


NAMES = ["first.weight", "first.bias", "layers.0.weight", "layers.0.bias", "heads.a.weight", "scale"]


def test_parameters_are_found_wherever_they_are(cpu):
    net = Net(cpu)
    assert list(net.named_parameters()) == NAMES
    assert list(net.named_buffers()) == ["count"]
    assert list(net.generators()) == ["layers.1.generator"]
    assert [name for name, _ in net.modules()] == ["", "first", "layers.0", "layers.1", "heads.a"]
    assert [id(p) for p in net.parameters()] == [id(p) for p in net.named_parameters().values()]
    assert net.device is cpu


def test_freeze_takes_parameters_out_of_training(cpu):
    net = Net(cpu)
    net.first.freeze()
    assert len(net.parameters()) == len(NAMES) - 2
    assert list(net.named_parameters()) == NAMES
    net.unfreeze()
    assert len(net.parameters()) == len(NAMES)


def test_modes_reach_every_part(cpu):
    net = Net(cpu)
    assert net.training
    net.eval()
    assert not any(m.training for _, m in net.modules())
    net.train()
    assert all(m.training for _, m in net.modules())


def test_state_round_trip(gpu, cpu):
    net, other = Net(gpu), Net(cpu)
    for p in other.named_parameters().values():
        p.assign(p.numpy() + 1)
    state = other.state_dict()
    kept = net.first.weight
    net.load_state_dict(state)
    assert net.first.weight is kept
    assert list(state) == [*NAMES, "count"]
    for name, values in net.state_dict().items():
        assert np.array_equal(values, state[name])


def spoiled(state, **changes):
    return {k: v for k, v in {**state, **changes}.items() if v is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first.weight": None, "count": None}, "missing first.weight, count; wants"),
        ({"extra": np.zeros(1)}, "unexpected extra"),
        ({"scale": None, "skale": np.ones(3)}, "missing scale and unexpected skale"),
        ({"scale": np.ones(4)}, r"other shapes, scale \(4,\) for \(3,\)"),
        ({"scale": np.ones(3, np.int32)}, "other types, scale int32 for float32"),
        ({"scale": np.array(["a", "b", "c"])}, "other types, scale"),
    ],
)
def test_a_bad_state_changes_nothing(cpu, changes, message):
    net = Net(cpu)
    before = net.state_dict()
    state = {k: v + 1 for k, v in before.items()}
    with pytest.raises(FormatError, match=message):
        net.load_state_dict(spoiled(state, **changes))
    assert all(np.array_equal(before[k], v) for k, v in net.state_dict().items())


def test_long_lists_of_keys_are_cut(cpu):
    net = Net(cpu)
    with pytest.raises(FormatError, match="and 2 more"):
        net.load_state_dict({})


def test_to_copies_and_keeps_what_is_shared(gpu, cpu):
    net = Net(cpu)
    net.first.freeze()
    net.layers[1].generator.uniform((8,))
    copy = net.to(gpu)
    assert copy.device is gpu
    assert net.device is cpu
    assert copy.tied is copy.first.weight
    assert copy.first.weight.frozen
    assert isinstance(copy.scale, nn.Parameter)
    assert copy._cache.device is gpu
    assert np.array_equal(copy.layers[1].generator.state, net.layers[1].generator.state)
    copy.scale.assign(np.zeros(3, np.float32))
    assert np.array_equal(net.scale.numpy(), np.ones(3))
    assert all(t.device is gpu for t in copy.state_tensors().values())


def test_a_module_whose_part_knows_it_can_be_copied(cpu):
    outer, inner = nn.Sequential(), nn.Module()
    inner._parent = outer
    outer.layers.append(inner)
    copy = outer.to(cpu)
    assert copy.layers[0]._parent is copy
    assert copy is not outer


def test_text_and_summary(cpu):
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 5, activation="relu", device=cpu), nn.BatchNorm1d(5, device=cpu),
        nn.Linear(5, 2, bias=False, device=cpu),
    )  # fmt: skip
    model[1].freeze()
    assert repr(model).splitlines()[2] == "  layers.1: Linear(12, 5, activation='relu')"
    lines = model.summary((7, 3, 4)).splitlines()
    assert lines[0].split() == ["layer", "output", "shape", "parameters"]
    assert "(7, 12)" in lines[2]
    assert lines[3].split()[-2:] == ["65", "frozen"]
    assert lines[5].split()[-3:] == ["(7,", "2)", "10"]
    assert lines[-1] == "85 parameters: 20 trainable, 65 frozen; 10 buffer elements"
    assert model.training
    assert np.array_equal(model[2].running_mean.numpy(), np.zeros(5))
    assert "output shape" not in model.summary()
    text = Net(cpu).summary()
    assert "Net()" in text  # it has a parameter of its own
    assert text.splitlines()[-1].startswith("36 parameters: 36 trainable")


def test_forward_is_wanted():
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        nn.Module()(1)


def test_the_default_device_comes_from_the_environment(monkeypatch, cpu):
    monkeypatch.setenv("GPUCORE_DEVICE", "cpu")
    assert nn.Linear(2, 2).device is cpu
    assert nn.ReLU().device is cpu


# ---- initialisation


@pytest.mark.parametrize(
    ("init", "variance", "limit"),
    [
        ("he", 2 / 300, None), ("he_normal", 2 / 300, None), ("he_uniform", 2 / 300, np.sqrt(6 / 300)),
        ("xavier", 2 / 500, np.sqrt(6 / 500)), ("xavier_normal", 2 / 500, None), ("xavier_uniform", 2 / 500, np.sqrt(6 / 500)),
        ("fan_in_uniform", 1 / 900, np.sqrt(1 / 300)),
    ],
)  # fmt: skip
def test_initialisations_have_their_variance(cpu, init, variance, limit):
    w = nn.Linear(300, 200, init=init, rng=3, device=cpu).weight.numpy()
    assert w.var() == pytest.approx(variance, rel=0.03)
    assert abs(w.mean()) < 3 * np.sqrt(variance / w.size)
    if limit is None:
        assert np.abs(w).max() > 3 * np.sqrt(variance)
    else:
        assert 0.99 * limit < np.abs(w).max() <= limit


def test_fans_of_a_convolution_count_its_kernel(cpu):
    w = nn.Conv2d(16, 32, (3, 5), init="he", rng=0, device=cpu).weight.numpy()
    assert w.var() == pytest.approx(2 / (16 * 15), rel=0.05)
    w = nn.Conv1d(16, 32, 4, init="xavier", rng=0, device=cpu).weight.numpy()
    assert w.var() == pytest.approx(2 / (16 * 4 + 32 * 4), rel=0.05)


def test_seeds_give_the_same_numbers_on_every_device(gpu, cpu):
    a, b = nn.Linear(7, 5, rng=11, device=gpu), nn.Linear(7, 5, rng=11, device=cpu)
    assert np.array_equal(a.weight.numpy(), b.weight.numpy())
    rng = np.random.default_rng(11)
    c, d = nn.Linear(7, 5, rng=rng, device=cpu), nn.Linear(7, 5, rng=rng, device=cpu)
    assert np.array_equal(c.weight.numpy(), a.weight.numpy())
    assert not np.array_equal(d.weight.numpy(), c.weight.numpy())
    assert np.array_equal(nn.Dropout(rng=4, device=gpu).generator.state, nn.Dropout(rng=4, device=cpu).generator.state)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: nn.Linear(0, 3, device=d), "Linear: in_features is 0"),
        (lambda d: nn.Linear(3, 2.5, device=d), "out_features is 2.5"),
        (lambda d: nn.Linear(3, 3, init="zeros", device=d), "init is 'zeros'"),
        (lambda d: nn.Conv2d(1, 1, 0, device=d), r"kernel_size\[0\] is 0"),
        (lambda d: nn.Embedding(0, 3, device=d), "Embedding: count"),
        (lambda d: nn.LayerNorm(3, eps=0, device=d), "LayerNorm: eps"),
        (lambda d: nn.BatchNorm1d(3, momentum=0, device=d), "momentum"),
        (lambda d: nn.Dropout(1.0, device=d), "Dropout: p is 1.0"),
        (lambda d: nn.GELU("erf"), "GELU: approximate"),
        (lambda d: nn.MultiHeadAttention(10, 4, device=d), "wants each to divide"),
        (lambda d: nn.MultiHeadAttention(12, 4, kv_heads=3, device=d), "wants each to divide"),
    ],
)
def test_bad_settings(cpu, make, message):
    with pytest.raises(ConfigError, match=message):
        make(cpu)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda d: nn.Linear(4, 2, device=d), (3, 5), r"Linear\(4, 2\): got \(3, 5\); wants 4 features along the last axis"),
        (lambda d: nn.Conv1d(4, 2, 3, device=d), (3, 5, 9), r"Conv1d\(4, 2, 3\): got \(3, 5, 9\); wants \[batch, 4 channels, length\]"),
        (lambda d: nn.Conv2d(1, 2, 3, padding=1, device=d), (3, 8, 8), r"Conv2d\(1, 2, 3, padding=1\): got \(3, 8, 8\)"),
        (lambda d: nn.MaxPool2d(2), (3, 8), r"MaxPool2d\(2\): got"),
        (lambda d: nn.GlobalAvgPool2d(), (3, 8), r"GlobalAvgPool2d\(\): got"),
        (lambda d: nn.Flatten(), (3,), r"Flatten\(\): got \(3,\)"),
        (lambda d: nn.LayerNorm(4, device=d), (3, 5), r"LayerNorm\(4\): got"),
        (lambda d: nn.RMSNorm(4, device=d), (3, 5), r"RMSNorm\(4\): got"),
        (lambda d: nn.BatchNorm1d(4, device=d), (3, 5), r"BatchNorm1d\(4\): got \(3, 5\); wants \[batch, 4\] or"),
        (lambda d: nn.MultiHeadAttention(8, 2, device=d), (3, 5, 4), r"MultiHeadAttention\(8, 2\): x is \(3, 5, 4\); wants"),
    ],
)
def test_wrong_shapes_name_the_layer(cpu, make, shape, message):
    with pytest.raises(ShapeError, match=message):
        make(cpu)(cpu.zeros(shape))


def test_embedding_wants_integers(cpu):
    with pytest.raises(DTypeError, match="wants int32 ids"):
        nn.Embedding(5, 2, device=cpu)(cpu.zeros(3))
