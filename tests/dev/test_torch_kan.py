"""KAN networks as other libraries compute them, in PyTorch, against float64 NumPy: peers of bench/kan.py must compute the same."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from bench.comparison import kan_networks
from bench.comparison.context import choose_threads, open_context
from bench.comparison.kan_peers import EFFICIENT, PEERS, PYKAN, Spec, numpy_forward, numpy_losses
from bench.comparison.rows import run_row
from bench.comparison.run import chosen

torch = pytest.importorskip("torch")
SPECS = [Spec((2, 5, 1)), Spec((3, 4, 4, 2), base=False), Spec((7, 6, 5))]


@pytest.fixture
def ctx(gpu):
    context = open_context(gpu, small=True, quick=True)
    context.where = "cpu"
    context.clock.budget = 0.001
    return context


def test_pytorch_gets_the_threads_with_which_it_is_faster(monkeypatch):
    before = torch.get_num_threads()
    ticks = iter(range(10**6))
    slow = {1: 1.0, 2: 5.0}
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks) * slow[torch.get_num_threads()])
    try:
        torch.set_num_threads(2)
        assert choose_threads(torch) == torch.get_num_threads() == 1
        slow[1] = 9.0
        torch.set_num_threads(2)
        assert choose_threads(torch) == torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("name", list(PEERS))
def test_a_peer_computes_the_same_network(ctx, spec, name):
    weights, x = spec.weights(ctx), kan_networks._inputs(ctx, spec, 11)
    params, apply = PEERS[name](torch, spec, weights, "cpu", torch.float64)
    y = apply(torch.from_numpy(x).double())
    np.testing.assert_allclose(y.detach().numpy(), numpy_forward(spec, weights, x), rtol=1e-10, atol=1e-12)
    grads = torch.autograd.grad(y.square().sum(), params)
    assert all(g.abs().sum() > 0 for g in grads)
    per_edge = 8 + spec.base * 1 if name == EFFICIENT else 8 + spec.base + 1
    assert sum(p.numel() for p in params) == per_edge * sum(i * o for i, o in spec.layers)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_training_is_that_of_numpy(ctx, spec):
    weights, x, y = spec.weights(ctx), kan_networks._inputs(ctx, spec, 11), ctx.normal(11, spec.widths[-1])
    model = PEERS[EFFICIENT](torch, spec, weights, "cpu", torch.float64, bias=True)
    call = kan_networks._torch_step(ctx, spec, weights, x, y, model=model)
    want = list(islice(numpy_losses(spec, weights, x, y, kan_networks.RATE), 6))
    assert [float(call(i)) for i in range(6)] == pytest.approx(want, rel=1e-9)
    call = kan_networks._torch_step(ctx, spec, weights, x, y, model=PEERS[PYKAN](torch, spec, weights, "cpu", torch.float64))
    losses = [float(call(i)) for i in range(6)]
    assert losses[0] == pytest.approx(want[0], rel=1e-9)
    assert losses[5] < losses[0]


def test_rows_with_peers(ctx):
    for pattern in ("training step: [2, 5, 1], batch 64", "forward: [2, 5, 1], batch 64", "latency: [2, 5, 1]"):
        (row,) = chosen(kan_networks.kan_rows(ctx), [pattern])
        result = run_row(ctx, row)
        assert result.correct
        assert not result.failure
        assert not result.peer_failures
        assert list(result.peers)[:2] == [EFFICIENT, PYKAN]
        assert result.ratio() > 0
