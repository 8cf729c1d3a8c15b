from __future__ import annotations

import gc as collector
import re

import numpy as np
import pytest

import gpucore as gc
from gpucore import data, nn, optim, train
from gpucore.errors import ConfigError, DeviceMismatchError, FormatError


def blobs(n=203, seed=0):
    """Three clouds in six dimensions."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return data.ArrayDataset(np.eye(6)[y] * 3 + rng.standard_normal((n, 6)), y)


def model(device, seed=0):
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Linear(6, 16, activation="relu", rng=rng, device=device), nn.BatchNorm1d(16, device=device),
        nn.Dropout(0.2, rng=rng, device=device), nn.Linear(16, 3, rng=rng, device=device),
    )  # fmt: skip


def plain(device, seed=0):
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(6, 16, activation="tanh", rng=rng, device=device), nn.Linear(16, 3, rng=rng, device=device))


def trainer(device, make=model, lr=0.01, **options):
    net = make(device)
    return train.Trainer(net, optim.Adam(net.parameters(), lr=lr), gc.ops.cross_entropy, **options)


def batches(device, n=203, **options):
    return data.Batches(blobs(n), 32, seed=1, device=device, **options)


def same(a, b):
    return set(a) == set(b) and all(np.array_equal(np.asarray(a[k]), np.asarray(b[k])) for k in a)


# ---- the loop


def test_a_training_learns(gpu):
    t = trainer(gpu)
    history = t.fit(batches(gpu), epochs=6, validation=data.Batches(blobs(100, seed=9), 32, shuffle=False, device=gpu), progress=False)
    assert len(history) == 6
    assert history["val_accuracy"][-1] > 0.85
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history.names[:3] == ["epoch", "step", "loss"]
    assert t.step == 6 * 7
    assert not t.model.training


@pytest.mark.parametrize("n", [32, 203])
def test_a_recorded_epoch_is_the_one_written_out(gpu, cpu, n):
    """Weights and loss of two epochs against plain steps on the NumPy device in float64, the odd last batch included."""
    t = trainer(gpu, plain)
    history = t.fit(batches(gpu, n), epochs=2, progress=False)
    net = plain(cpu)
    for p in net.named_parameters().values():
        p.storage, p.dtype = p.storage.astype(np.float64), gc.dtypes.float64
    optimizer, feed = optim.Adam(net.parameters(), lr=0.01), batches(cpu, n)
    for epoch in range(2):
        losses = []
        for x, y in feed:
            with gc.GradientTape() as tape:
                loss = gc.ops.cross_entropy(net(cpu.tensor(x, "float64")), y)
            optimizer.step(tape.gradient(loss, net.parameters()))
            losses += [loss.item()] * len(y)
        assert len(losses) == n
        assert history["loss"][epoch] == pytest.approx(np.mean(losses), rel=1e-5)
    for name, values in net.state_dict().items():
        got = t.model.state_dict()[name]
        assert np.linalg.norm(got - values) <= 1e-4 * np.linalg.norm(values)


def test_a_step_is_one_recording_that_agrees_with_the_reference(gpu):
    net = plain(gpu)
    step = gc.Pipeline(train.train_step(net, optim.Adam(net.parameters(), lr=0.01), gc.ops.cross_entropy))
    x, y = blobs()[:32]
    x, y = gpu.tensor(x), gpu.tensor(y)
    step(x, y)
    for difference in step.verify(x, y):
        assert difference.relative_l2 < 1e-5, difference
    assert step.dispatches > 5


def test_evaluation_is_weighted_by_samples_and_changes_nothing(gpu):
    t = trainer(gpu)
    t.fit(batches(gpu), epochs=1, progress=False)
    before, found = t.model.state_dict(), t.evaluate(batches(gpu))
    d = blobs()
    logits = t.model(gpu.tensor(d.x)).numpy().astype(np.float64)
    assert found["accuracy"] == pytest.approx((logits.argmax(axis=1) == d.y).mean())
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(d)), d.y]
    assert found["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert same(before, t.model.state_dict())
    assert t.evaluate(batches(gpu)) == found


def test_evaluating_before_training_makes_no_difference(gpu):
    first, second = trainer(gpu), trainer(gpu)
    first.evaluate(batches(gpu))
    first.fit(batches(gpu), epochs=1, progress=False)
    second.fit(batches(gpu), epochs=1, progress=False)
    assert same(first.model.state_dict(), second.model.state_dict())


def test_the_host_does_not_run_far_ahead_of_the_device(gpu, monkeypatch):
    monkeypatch.setattr(gc.Readback, "ready", lambda self: False)
    log, value, most = train.ScalarLog(1), gpu.tensor(np.float32(2)), 0
    for _ in range(320):
        log.add([value], 1)
        most = max(most, len(log._on_the_way))
    assert most == 2
    assert log.finish()[0] == 2.0


def test_the_same_seeds_give_the_same_bits(gpu):
    first, second = trainer(gpu), trainer(gpu)
    a, b = first.fit(batches(gpu), epochs=2, progress=False), second.fit(batches(gpu, prefetch=0), epochs=2, progress=False)
    assert a["loss"] == b["loss"]
    assert same(first.model.state_dict(), second.model.state_dict())


def test_the_numpy_device_trains_too(cpu):
    t = trainer(cpu)
    history = t.fit(batches(cpu), epochs=2, validation=batches(cpu), progress=False)
    assert history["loss"][1] < history["loss"][0]
    assert "val_accuracy" in history.names


def test_a_schedule_reaches_the_recorded_steps(gpu):
    seen = []

    def schedule(step):
        seen.append(step)
        return 0.0 if step >= 7 else 0.01

    t = trainer(gpu, plain, schedule=schedule)
    t.fit(batches(gpu), epochs=1, progress=False)
    after_one = t.model.state_dict()
    history = t.fit(batches(gpu), epochs=3, progress=False)
    assert same(after_one, t.model.state_dict())
    assert seen == list(range(21))
    assert history["lr"] == [0.01, 0.0, 0.0]


def test_frozen_parameters_stay(gpu):
    net = plain(gpu)
    net[0].freeze()
    before = net.state_dict()
    t = train.Trainer(net, optim.SGD(net.parameters(), lr=0.1), gc.ops.cross_entropy)
    t.fit(batches(gpu), epochs=1, progress=False)
    after = net.state_dict()
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert changed == ["layers.1.weight", "layers.1.bias"]


def test_own_metrics_and_losses(gpu):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 3)).astype(np.float32)
    d = data.ArrayDataset(x, x @ np.array([[1.0], [2], [3]], np.float32))
    net = nn.Linear(3, 1, rng=0, device=gpu)
    t = train.Trainer(net, optim.Adam(net.parameters(), lr=0.1), gc.ops.mse_loss, metrics={"mae": gc.ops.l1_loss})
    history = t.fit(data.Batches(d, 16, device=gpu), epochs=30, validation=data.Batches(d, 64, device=gpu), progress=False)
    assert history["val_mae"][-1] < 0.05
    assert np.allclose(net.weight.numpy(), [[1, 2, 3]], atol=0.05)


def test_a_loss_that_is_not_finite_stops_with_its_step(gpu):
    d = blobs()
    d.x[70] = np.nan  # past the dataset's own check; the third batch in order
    t = trainer(gpu, plain)
    with pytest.raises(train.TrainingDivergedError, match="the loss of step 2 is nan"):
        t.fit(data.Batches(d, 32, shuffle=False, device=gpu), epochs=1, progress=False)
    assert gpu.tensor([1.0]).numpy()[0] == 1.0


def test_divergence_is_noticed_within_the_epoch(gpu):
    d = blobs(4000)
    d.x[:32] = np.inf
    t, seen = trainer(gpu, plain), []

    def feed():
        for batch in data.Batches(d, 32, shuffle=False, device=gpu):
            seen.append(1)
            yield batch

    with pytest.raises(train.TrainingDivergedError, match="the loss of step 0 is"):
        t.fit(feed(), epochs=1, progress=False)
    assert len(seen) <= 3 * 32


def test_bad_settings(gpu, cpu):
    net, other = plain(gpu), plain(gpu)
    with pytest.raises(ConfigError, match=r"does not have layers\.0\.weight"):
        train.Trainer(net, optim.SGD(other.parameters(), lr=0.1), gc.ops.cross_entropy)
    with pytest.raises(DeviceMismatchError, match="move it with"):
        train.Trainer(net, optim.SGD(net.parameters(), lr=0.1), gc.ops.cross_entropy, device=cpu)
    t = trainer(gpu)
    with pytest.raises(ConfigError, match="give validation="):
        t.fit(batches(gpu), epochs=1, early_stopping=train.EarlyStopping())
    with pytest.raises(ConfigError, match="checkpoint_dir"):
        t.fit(batches(gpu), epochs=1, resume=True)
    with pytest.raises(ConfigError, match="no batches"):
        t.fit([], epochs=1, progress=False)


def test_an_error_in_the_data_reaches_the_caller_and_the_trainer_goes_on(gpu):
    t = trainer(gpu)

    def broken():
        yield from list(batches(gpu))[:2]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        t.fit(broken(), epochs=1, progress=False)
    t.fit(batches(gpu), epochs=1, progress=False)
    assert len(t.history) == 1


def test_a_thousand_steps_leave_no_memory(gpu):
    t = trainer(gpu)
    feed = batches(gpu, 640)  # 20 steps an epoch
    t.fit(feed, epochs=3, validation=feed, progress=False)
    before = gpu.memory
    t.fit(feed, epochs=53, validation=feed, progress=False)
    after = gpu.memory
    assert t.step == 53 * 20
    assert (after.in_use, after.live) == (before.in_use, before.live)
    assert after.allocations - before.allocations <= 8
    assert after.staging - before.staging <= 1 << 20


def test_a_pass_over_batches_leaves_no_cycle_that_holds_them(gpu):
    """The end of the batches is an exception; its traceback must not keep the caller's last batch until a collection."""
    feed = batches(gpu, 96)
    collector.collect()
    collector.disable()
    try:
        before = gpu.memory.live
        for _ in range(5):
            for x, y in feed:
                del x, y
        assert _last_batch(feed) == 3
        assert gpu.memory.live == before
    finally:
        collector.enable()


def _last_batch(feed):
    """Walks a pass with the batch in a local, which a traceback would keep."""
    count = 0
    for x, _y in feed:
        count += x.shape[0] > 0
    return count


# ---- early stopping


def test_early_stopping_counts():
    s = train.EarlyStopping(2, 0.1, "val_loss")
    values = [float("nan"), 1.0, 0.95, 0.85, float("nan"), 0.80]
    improved = [s.update({"epoch": i + 1, "val_loss": v}) for i, v in enumerate(values)]
    assert improved == [False, True, False, True, False, False]
    assert (s.best, s.best_epoch, s.stopped) == (0.85, 4, True)
    up = train.EarlyStopping(1, monitor="val_accuracy")
    assert [up.update({"epoch": i, "val_accuracy": v}) for i, v in enumerate((0.5, 0.7, 0.7))] == [True, True, False]
    assert up.stopped
    with pytest.raises(ConfigError, match="monitors 'val_loss'; the history has epoch, loss"):
        s.update({"epoch": 1, "loss": 1.0})
    with pytest.raises(ConfigError, match="patience"):
        train.EarlyStopping(0)
    with pytest.raises(ConfigError, match="min_delta"):
        train.EarlyStopping(1, float("nan"))


def test_early_stopping_stops_and_keeps_the_best(gpu, tmp_path):
    t = trainer(gpu, plain, schedule=lambda step: 0.05 if step < 7 else 0.0)  # after one epoch nothing moves
    history = t.fit(
        batches(gpu), epochs=50, validation=batches(gpu), early_stopping=train.EarlyStopping(2), checkpoint_dir=tmp_path, progress=False
    )  # fmt: skip
    assert len(history) == 3
    best = train.Checkpoint.load(tmp_path / "best.safetensors")
    assert best.info["epoch"] == 1
    assert best.info["early_stopping"]["best"] == history["val_loss"][0]


# ---- checkpoints


def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(gpu, tmp_path):
    def run(epochs, folder, resume=False):
        t = trainer(gpu, schedule=optim.WarmupCosineLR(0.02, 5, 28))
        stopping = train.EarlyStopping(20)
        options = dict(early_stopping=stopping, checkpoint_dir=folder, progress=False, resume=resume)
        t.fit(batches(gpu), epochs=epochs, validation=batches(gpu), **options)
        return t, stopping

    (straight, counted), _ = run(4, tmp_path / "a"), run(2, tmp_path / "b")
    resumed, recounted = run(4, tmp_path / "b", resume=True)
    assert same(straight.model.state_dict(), resumed.model.state_dict())
    assert same(straight.optimizer.state_dict(), resumed.optimizer.state_dict())
    states = [{k: g.state for k, g in t.model.generators().items()} for t in (straight, resumed)]
    assert states[0]
    assert same(*states)
    for name in ("epoch", "step", "loss", "val_loss", "val_accuracy", "lr"):
        assert straight.history[name] == resumed.history[name]
    assert counted.state_dict() == recounted.state_dict()


def test_checkpoints_move_between_devices(gpu, cpu, tmp_path):
    t = trainer(gpu)
    t.fit(batches(gpu), epochs=1, checkpoint_dir=tmp_path, progress=False)
    net = model(cpu, seed=5)
    train.Checkpoint.load(tmp_path / "last.safetensors").restore(net)
    assert same(net.state_dict(), t.model.state_dict())
    other = trainer(cpu)
    other.resume(tmp_path / "last.safetensors")
    assert (other.epoch, other.step) == (1, 7)
    assert other.history["loss"] == t.history["loss"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    t = trainer(gc.device("cpu"))
    t.fit(batches(t.device), epochs=1, checkpoint_dir=folder, progress=False)
    return folder / "last.safetensors"


def rewritten(path, target, change):
    """A copy of a checkpoint whose (tensors, metadata) were changed."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(path, framework="numpy") as file:
        metadata, tensors = dict(file.metadata()), {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    change(tensors, metadata)
    save_file(tensors, target, metadata or None)


def drop(tensors, name):
    del tensors[name]


CHANGES = {
    "newer": (lambda t, m: m.update(version="2"), "has version 2; this build knows versions 1 to 1"),
    "no version": (lambda t, m: m.pop("version"), "has version none"),
    "another format": (lambda t, m: m.update(format="pt"), "something else"),
    "no metadata": (lambda t, m: m.clear(), "something else"),
    "broken metadata": (lambda t, m: m.update(info="{"), "unreadable metadata"),
    "no epoch": (lambda t, m: m.update(info="{}"), "not one of a Trainer"),
    "bad history": (lambda t, m: m.update(info=m["info"].replace('"history": [', '"history": ["x", ')), "list of records"),
    "unknown group": (lambda t, m: t.update({"extra.x": np.zeros(1)}), "belongs to none"),
    "missing weight": (lambda t, m: drop(t, "model.layers.0.weight"), "missing layers.0.weight"),
    "another shape": (lambda t, m: t.update({"model.layers.0.bias": np.zeros(9, np.float32)}), "other shapes, layers.0.bias"),
    "missing moment": (lambda t, m: drop(t, "optimizer.m.0"), "optimizer: missing m.0"),
    "bad rate": (lambda t, m: t.update({"optimizer.lr": np.array([-1.0])}), "optimizer: .*lr"),
    "missing generator": (lambda t, m: drop(t, "generator.layers.2.generator"), "generators: missing layers.2.generator"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_bad_checkpoints_leave_everything_untouched(cpu, saved, tmp_path, name):
    change, message = CHANGES[name]
    rewritten(saved, tmp_path / "last.safetensors", change)
    refused(cpu, tmp_path, message)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda b: b[:-5], "damaged"), (lambda b: b[:6], "damaged"), (lambda b: b"", "damaged"), (lambda b: b + b"xx", "damaged"),
        (lambda b: b"\x89PNG" + b, "damaged"), (None, "there is no file"),
    ],
)  # fmt: skip
def test_files_that_are_no_checkpoints_leave_everything_untouched(cpu, saved, tmp_path, spoil, message):
    if spoil is not None:
        (tmp_path / "last.safetensors").write_bytes(spoil(saved.read_bytes()))
    refused(cpu, tmp_path, message)


def refused(device, folder, message):
    t = trainer(device)
    t.model[2].generator.uniform((4,))
    model_before, optimizer_before, words = t.model.state_dict(), t.optimizer.state_dict(), t.model[2].generator.state
    with pytest.raises(FormatError, match=message):
        t.fit(batches(device), epochs=3, checkpoint_dir=folder, resume=True, progress=False)
    assert same(model_before, t.model.state_dict())
    assert same(optimizer_before, t.optimizer.state_dict())
    assert np.array_equal(words, t.model[2].generator.state)
    assert (t.epoch, t.step, len(t.history)) == (0, 0, 0)


def test_a_checkpoint_of_another_optimizer(cpu, saved):
    net = model(cpu)
    with pytest.raises(FormatError, match="optimizer"):
        train.Checkpoint.load(saved).restore(net, optim.SGD(net.parameters(), lr=0.1))


def test_a_checkpoint_is_readable_by_anyone(saved):
    from safetensors.numpy import load_file

    tensors = load_file(saved)
    assert {name.split(".")[0] for name in tensors} == {"model", "optimizer", "generator"}
    assert tensors["model.layers.0.weight"].shape == (16, 6)
    assert [p.name for p in saved.parent.iterdir() if p.suffix == ".part"] == []


# ---- progress


def test_lines(gpu, capsys):
    trainer(gpu).fit(batches(gpu), epochs=2, validation=batches(gpu))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"epoch 2/2  loss \d\.\d{4}  val_loss \d\.\d{4}  val_accuracy \d\.\d{4}  \d+\.\d s", lines[1])


def test_silence_and_own_displays(gpu, capsys):
    class Spy(train.Silent):
        def __init__(self):
            self.calls = []

        def start(self, epoch, epochs, batches):
            self.calls.append((epoch, epochs, batches))

        def step(self, loss):
            self.calls.append("step")

        def close(self):
            self.calls.append("close")

    spy = Spy()
    trainer(gpu).fit(batches(gpu), epochs=1, progress=spy)
    trainer(gpu).fit(batches(gpu), epochs=1, progress=False)
    assert spy.calls == [(1, 1, 7), *["step"] * 7, "close"]
    assert capsys.readouterr().out == ""


def test_the_bar_in_a_terminal(gpu, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    trainer(gpu).fit(batches(gpu), epochs=2)
    out = capsys.readouterr().out
    assert "epoch 1/2" in out
    assert "epoch 2/2  loss" in out


def test_lines_in_a_terminal_without_rich(gpu, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setitem(__import__("sys").modules, "rich.progress", None)
    trainer(gpu).fit(batches(gpu), epochs=1)
    assert capsys.readouterr().out.startswith("epoch 1/1  loss")
