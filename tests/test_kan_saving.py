from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

from gpucore.errors import ConfigError, FormatError, ShapeError
from gpucore.systems import kan


def make(device, **more):
    config = kan.KanConfig(3, (4,), 2, mean=(0.1, 0.2, 0.3), std=1.5, seed=2, **({"base": "silu"} | more))
    return kan.KanNetwork(config, device=device)


def inputs(n=50, seed=0):
    return np.random.default_rng(seed).normal(0, 1.5, (n, 3)).astype(np.float32)


def rewritten(source, target, change):
    """A copy of a file with other metadata or tensors."""
    with safe_open(source, framework="numpy") as file:
        metadata, tensors = dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(metadata, tensors)
    target.write_bytes(safetensors.numpy.save(tensors, metadata))
    return target


def refused(network, path, sentence):
    """Neither loads, with one sentence, and the network stays as it was."""
    before = network.state_dict()
    for take in (network.restore, lambda p: kan.KanNetwork.load(p, device=network.device)):
        with pytest.raises(FormatError, match=sentence) as caught:
            take(path)
        assert str(path) in str(caught.value)
    assert all(np.array_equal(v, before[k]) for k, v in network.state_dict().items())


def test_a_network_comes_back_bit_for_bit(gpu, cpu, tmp_path):
    network, x = make(gpu), inputs()
    network.refine(11)
    network.update_grid(x)
    network.save(tmp_path / "deep" / "net.safetensors")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["net.safetensors"]
    again = kan.KanNetwork.load(tmp_path / "deep" / "net.safetensors", device=gpu)
    assert again.config == network.config
    assert [layer.grid for layer in again.layers] == [layer.grid for layer in network.layers]
    assert np.array_equal(again(x).numpy(), network(x).numpy())
    other = kan.KanNetwork.load(tmp_path / "deep" / "net.safetensors", device=cpu)
    assert np.allclose(other(x).numpy(), network(x).numpy(), atol=1e-5)
    fresh = make(gpu, grid_range=(-7, 7)).refine(11)
    fresh.restore(tmp_path / "deep" / "net.safetensors")
    assert np.array_equal(fresh(x).numpy(), network(x).numpy())


def test_float64_comes_back_as_such_where_there_is_float64(gpu, cpu, tmp_path):
    config = kan.KanConfig(3, (4,), 2, base="silu")
    network, path = kan.KanNetwork(config, device=cpu, dtype="float64"), tmp_path / "net.safetensors"
    fine = network.layers[0].coefficients.numpy() + 1e-12
    network.layers[0].coefficients.assign(fine)
    network.save(path)
    again = kan.KanNetwork.load(path, device=cpu)
    assert again.dtype.name == "float64"
    assert np.array_equal(again.layers[0].coefficients.numpy(), fine)
    for device, options in ((gpu, {}), (cpu, dict(dtype="float32"))):
        rounded = kan.KanNetwork.load(path, device=device, **options)
        assert rounded.dtype.name == "float32"
        assert np.array_equal(rounded.layers[0].coefficients.numpy(), fine.astype(np.float32))


def test_the_state_carries_the_grids(gpu):
    network, other, x = make(gpu), make(gpu, grid_range=(-5, 5)), inputs()
    network.update_grid(x)
    other.load_state_dict(network.state_dict())
    assert np.array_equal(other(x).numpy(), network(x).numpy())


def test_a_file_cut_off_anywhere_is_refused(cpu, tmp_path):
    network, path, cut = make(cpu), tmp_path / "net", tmp_path / "cut"
    network.save(path)
    data = path.read_bytes()
    before = network.state_dict()
    for size in [*range(40), *range(40, len(data), 17), len(data) - 1]:
        cut.write_bytes(data[:size])
        with pytest.raises(FormatError, match="damaged or no safetensors"):
            network.restore(cut)
    assert all(np.array_equal(v, before[k]) for k, v in network.state_dict().items())


def test_foreign_files_are_refused(gpu, tmp_path):
    network, path = make(gpu), tmp_path / "net"
    network.save(path)
    refused(network, tmp_path / "none", "there is no file")
    (tmp_path / "text").write_text("KAN " * 100)
    refused(network, tmp_path / "text", "damaged or no safetensors")

    def bad(name, sentence, change):
        refused(network, rewritten(path, tmp_path / name, change), sentence)

    bad("foreign", "of something else", lambda m, t: m.update(format="gpucore-checkpoint"))
    bad("bare", "of something else", lambda m, t: m.clear())
    bad("future", "version 4; this build knows versions 1 to 3", lambda m, t: m.update(version="4"))
    bad("odd", "version two", lambda m, t: m.update(version="two"))
    bad("json", "unreadable metadata", lambda m, t: m.update(config="{"))
    bad("list", "unreadable metadata", lambda m, t: m.update(config="[1]"))
    bad("range", "degree is 9", lambda m, t: m.update(config=json.dumps(network.config.to_dict() | {"degree": 9})))
    bad("grids", "1 grids for 2 layers", lambda m, t: m.update(grids="[[5, -1, 1]]"))
    bad("cells", "unreadable metadata .*grid size 500", lambda m, t: m.update(grids="[[500, -1, 1], [5, -1, 1]]"))
    bad("less", r"missing layers\.0\.bias", lambda m, t: t.pop("layers.0.bias"))
    bad("more", "unexpected extra", lambda m, t: t.update(extra=np.zeros(1, np.float32)))
    bad("shape", r"layers\.1\.bias \(3,\) for \(2,\)", lambda m, t: t.update({"layers.1.bias": np.zeros(3, np.float32)}))
    bad("kind", "other types", lambda m, t: t.update({"layers.1.bias": np.zeros(2, np.int32)}))


def test_a_file_of_another_network_is_not_taken_over(gpu, tmp_path):
    network = make(gpu)
    before = network.state_dict()
    for other, sentence in (
        (kan.KanNetwork(kan.KanConfig(3, (5,), 2, base="silu"), device=gpu), r"has widths \[3, 5, 2\] and the network \[3, 4, 2\]"),
        (make(gpu, base=None), "has base None"), (make(gpu, degree=2), "has degree 2"), (make(gpu).refine(9), r"grids of \[9, 9\] cells"),
        (kan.KanNetwork(kan.KanConfig(3, (4,), 2, base="silu"), device=gpu), "missing mean"),
    ):  # fmt: skip
        other.save(tmp_path / "other")
        with pytest.raises(FormatError, match=sentence):
            network.restore(tmp_path / "other")
        assert all(np.array_equal(v, before[k]) for k, v in network.state_dict().items())


def test_version_1_still_loads(gpu, tmp_path):
    network, path = make(gpu, grid_range=(-2, 2)), tmp_path / "net"
    network.save(path)

    def older(metadata, tensors):
        metadata.update(version="1")
        del metadata["grids"]
        for k in range(2):
            del tensors[f"layers.{k}.grid_range"]

    again = kan.KanNetwork.load(rewritten(path, tmp_path / "old", older), device=gpu)
    assert np.array_equal(again(inputs()).numpy(), network(inputs()).numpy())


def test_a_failed_save_leaves_the_old_file(gpu, tmp_path, monkeypatch):
    network, path = make(gpu), tmp_path / "net"
    network.save(path)
    data = path.read_bytes()

    def full(handle):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        network.save(path)
    assert path.read_bytes() == data
    assert [p.name for p in tmp_path.iterdir()] == ["net"]


# ---- baked copies


@pytest.mark.parametrize(("dtype", "per"), [("float16", "output"), ("int8", "output"), ("int8", "layer")])
@pytest.mark.parametrize("name", ["gpu", "cpu"])
def test_a_baked_copy_is_as_near_as_it_says(name, dtype, per, request):
    device = request.getfixturevalue(name)
    network, x = make(device), inputs(500, seed=1)
    baked = kan.BakedKan.of(network, dtype, per=per, samples=x)
    gap = np.abs(baked(x).numpy() - network(x).numpy())
    assert gap.max() == pytest.approx(baked.error.largest, rel=1e-3, abs=1e-6)
    assert 0 < baked.error.relative_l2 < (2e-3 if dtype == "float16" else 5e-2)
    elsewhere = inputs(2000, seed=9) * 3
    gap = np.abs(baked(elsewhere).numpy() - network(elsewhere).numpy())
    assert (gap <= np.array(baked.error.bound) + 1e-5).all()
    c = sum(layer.coefficients.size for layer in network.layers)
    assert baked.nbytes == c * (2 if dtype == "float16" else 1) + (2 * 6 + 20) * 4
    assert baked(x[0]).shape == (2,)
    assert np.array_equal(baked.forward_async(x).result(), baked(x).numpy())
    assert dtype in repr(baked)


@pytest.mark.parametrize("base", [None, "silu"])
def test_the_bound_follows_an_error_through_the_next_layer(gpu, base):
    """The second layer is exact in 16 bits, so that all error is the first one's, made larger by its slope."""
    network = kan.KanNetwork(kan.KanConfig(1, (1,), 1, base=base, grid_range=(-0.5, 0.5)), device=gpu)
    first, second = network.layers
    first.coefficients.assign(np.full((1, 1, 8), 0.1, np.float32))
    second.coefficients.assign((np.arange(8, dtype=np.float32) - 4).reshape(1, 1, 8))
    if base is not None:
        second.coefficients.assign(np.zeros((1, 1, 8), np.float32))
        second.base.assign(np.full((1, 1), 10, np.float32))
        first.base.assign(np.zeros((1, 1), np.float32))
    baked = kan.BakedKan.of(network)
    assert 1e-4 < baked.error.largest <= baked.error.bound[0] + 1e-6 < 5 * baked.error.largest


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_a_baked_copy_goes_through_bytes(gpu, dtype):
    network, x = make(gpu).refine(9), inputs()
    baked = kan.BakedKan.of(network, dtype)
    data = baked.to_bytes()
    again = kan.BakedKan.from_bytes(data, device=gpu)
    assert again.error == baked.error
    assert np.array_equal(again(x).numpy(), baked(x).numpy())
    assert again.to_bytes() == data
    for size in [*range(20), *range(20, len(data), 31), len(data) - 1]:
        with pytest.raises(FormatError, match="BakedKan"):
            kan.BakedKan.from_bytes(data[:size], device=gpu)
    tensors = safetensors.numpy.load(data)
    header = json.loads(tensors["header"].tobytes())

    def changed(**more):
        text = json.dumps(header | more).encode()
        return safetensors.numpy.save(tensors | {"header": np.frombuffer(text, np.uint8)})

    for bad, sentence in (
        (changed(version=9), "version 9"), (changed(format="x"), "'x' version 1"), (changed(grids=[]), "do not fit together"),
        (changed(dtype="int4"), "do not fit together"), (safetensors.numpy.save({"a": np.zeros(1)}), "something else"),
        (safetensors.numpy.save({k: v for k, v in tensors.items() if k != "1.bias"}), "do not fit together"),
        (safetensors.numpy.save(tensors | {"1.bias": np.zeros(7, np.float32)}), r"1\.bias is float32 \(7,\)"),
    ):  # fmt: skip
        with pytest.raises(FormatError, match=sentence):
            kan.BakedKan.from_bytes(bad, device=gpu)


def test_what_cannot_be_baked(gpu):
    network = make(gpu)
    for options in (dict(dtype="int4"), dict(dtype="int8", per="edge")):
        with pytest.raises(ConfigError, match="wants one of float16, int8"):
            kan.BakedKan.of(network, **options)
    with pytest.raises(ShapeError, match="samples has shape"):
        kan.BakedKan.of(network, samples=np.zeros((3, 2)))
    with pytest.raises(ShapeError, match=r"BakedKan: x has shape \(2, 4\)"):
        kan.BakedKan.of(network)(np.zeros((2, 4)))
    network.layers[0].coefficients.assign(np.full(network.layers[0].coefficients.shape, 1e6, np.float32))
    with pytest.raises(ConfigError, match="layer 0 has coefficients that are not finite or too large for float16"):
        kan.BakedKan.of(network)
    zero = make(gpu)
    for layer in zero.layers:
        layer.coefficients.assign(np.zeros(layer.coefficients.shape, np.float32))
    baked = kan.BakedKan.of(zero, "int8")
    assert baked.error.largest == 0
    assert np.array_equal(baked(inputs()).numpy(), zero(inputs()).numpy())
