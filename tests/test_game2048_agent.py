from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from gpucore import cli
from gpucore.device.recording import Recording
from gpucore.device.transfer import Readback
from gpucore.errors import FormatError
from gpucore.systems.kan.game2048 import DqnAgent, Game2048, Settings, Training, Transitions, agent_player, evaluate, sample_game
from gpucore.systems.kan.game2048 import boards as b
from gpucore.systems.kan.game2048.encoding import encode
from gpucore.systems.kan.game2048.players import random_moves
from gpucore.systems.kan.game2048.results import smoothed
from gpucore.systems.kan.game2048.targets import bellman_target, best_move, double_target
from gpucore.systems.kan.game2048.training import Collector, Episodes

SMALL = dict(hidden=(4,), batch=16, envs=8, warmup=20, capacity=500, steps=12, evaluations=1, games=2, sync=5)


@pytest.fixture(autouse=True)
def _speed_is_measured_briefly(monkeypatch):
    monkeypatch.setattr("gpucore.systems.kan.game2048.training.SECONDS", 0.05)


@pytest.fixture(params=["gpu", "cpu"])
def device(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["afterstates", "moves"])
def head(request):
    return request.param


def some_moves(n=40, seed=0):
    """Moves from games at random, the last of their games among them."""
    games, rng, found = Game2048(20, seed), np.random.default_rng(seed), []
    while sum(row[4] for row in found) < n // 4:
        before, moves = games.boards, random_moves(games.legal, rng)
        points = games.step(moves)
        found += zip(before, moves, points, games.boards.copy(), games.done.copy(), strict=True)
        games.restart(games.done)
    found = [row for row in found if row[4]][: n // 4] + [row for row in found if not row[4]][-(n - n // 4) :]
    assert sum(row[4] for row in found) == n // 4
    return Transitions(*[np.array([row[i] for row in found]) for i in range(4)])


# ---- the Bellman equation


def test_the_bellman_target_is_the_hand_case(device):
    rewards, values = [1.0, 2.0, 3.0, 4.0], [[5, 9, 7, 1], [-3, -2, -8, -9], [1e9, 6, 2, 3], [50, 60, 70, 80]]
    legal = [[1, 0, 1, 1], [1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]]  # the largest is not legal; all below 0; ... ; the end
    t = [device.tensor(np.array(a, np.float32)) for a in (rewards, values, legal)]
    assert bellman_target(*t, 0.5).numpy().tolist() == [1 + 3.5, 2 - 1.5, 3 + 3, 4]
    assert best_move(t[1], t[2]).numpy()[:3].tolist() == [2, 0, 1]
    choosing = device.tensor(np.array([[0, 9, 1, 2], [1, 9, 2, 0], [9, 0, 1, 9], [1, 2, 3, 4]], np.float32))
    assert double_target(t[0], t[1], choosing, t[2], 0.5).numpy().tolist() == [1 + 0.5, 2 - 4, 3 + 1, 4]


@pytest.mark.parametrize("double", [False, True])
def test_targets_are_the_equation_over_the_networks_own_values(device, head, double):
    agent = DqnAgent(Settings(head=head, hidden=(4,), gamma=0.9, reward="points", unit=10.0, double=double), device=device)
    agent.network.layers[-1].coefficients.assign(agent.network.layers[-1].coefficients.numpy() * 3)  # not the target's
    moves = some_moves()
    following = b.slides(moves.next_boards)

    def values(network):
        if head == "moves":
            return network(encode(moves.next_boards)).numpy()
        after = network(encode(following.boards.reshape(-1))).numpy().reshape(-1, 4)
        return following.points / 10 + 0.9 * after

    q = values(agent.target)
    choosing = np.where(following.legal, values(agent.network) if double else q, -np.inf).argmax(axis=1)
    best = np.where(following.legal.any(axis=1), q[np.arange(len(q)), choosing], 0)
    wanted = best if head == "afterstates" else moves.points / 10 + 0.9 * best
    got = agent.targets(agent.batch(moves))
    np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=2e-6)


def test_the_end_of_a_game_is_worth_nothing(device, head):
    agent = DqnAgent(Settings(head=head, hidden=(4,), reward="points", unit=10.0), device=device)
    agent.target.layers[-1].bias.assign(np.full(agent.target.config.output_dim, 1000, np.float32))
    moves = some_moves()
    ended = ~b.slides(moves.next_boards).legal.any(axis=1)
    targets = agent.targets(agent.batch(moves))
    wanted = np.float32(moves.points / 10) if head == "moves" else np.zeros(len(targets))
    assert ended.sum() == 10
    assert np.array_equal(targets[ended], wanted[ended])
    assert (targets[~ended] > 500).all()


def test_a_batch_marks_the_output_taken_under_every_symmetry(head, cpu):
    agent, moves = DqnAgent(Settings(head=head, hidden=(4,)), device=cpu), some_moves(8)
    for which in range(8):
        turned = np.full(8, which)
        batch = agent.batch(moves, turned)
        if head == "moves":
            assert np.array_equal(batch.x, encode(b.symmetric(moves.boards, turned)))
            assert np.array_equal(batch.taken.argmax(axis=1), b.MOVE_OF[which, moves.moves])
            assert batch.taken.sum() == 8
            assert np.array_equal(batch.rewards, np.sqrt(moves.points, dtype=np.float32) / 10)
        else:
            after = b.slides(moves.boards).boards[np.arange(8), moves.moves]
            assert np.array_equal(batch.x, encode(b.symmetric(after, turned)))
            assert not batch.rewards.any()
        assert np.array_equal(batch.next_legal.sum(axis=1), b.slides(moves.next_boards).legal.sum(axis=1))


def test_only_the_output_taken_is_taught(device):
    agent, moves = DqnAgent(Settings(head="moves", hidden=(4,)), device=device), some_moves()
    up = np.flatnonzero(moves.moves == b.UP)
    before = agent.network.layers[-1].bias.numpy()
    agent.learn(agent.batch(Transitions(*[values[up] for values in moves])))
    changed = agent.network.layers[-1].bias.numpy() != before
    assert changed.tolist() == [False, True, False, False]


# ---- playing


def test_the_agent_makes_legal_moves_alone(device, head):
    agent = DqnAgent(Settings(head=head, hidden=(4,), envs=128, seed=3), device=device)
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 7, (2000, 16)) * (rng.random((2000, 16)) < rng.random((2000, 1)))
    boards = b.from_cells(cells)
    legal = b.slides(boards).legal
    moves, playable = agent.best(boards), legal.any(axis=1)
    assert legal[np.arange(2000), moves][playable].all()
    assert (~legal).sum() > 500
    q = agent._values(agent.network, agent.device.tensor(encode(boards)), None).numpy() if head == "moves" else None
    assert q is None or np.array_equal(moves[playable], np.where(legal, q, -np.inf).argmax(axis=1)[playable])
    collector = Collector(agent.settings, Episodes())
    for _ in range(20):  # a move that is not legal would be refused
        collector.make(collector.begin(agent, 0.5)(), 0)
    assert len(collector.replay) == collector.moves == 20 * 128


def test_epsilon_is_the_share_of_random_moves(cpu):
    agent = DqnAgent(Settings(head="moves", hidden=(4,), envs=2000), device=cpu)
    collector = Collector(agent.settings, Episodes())
    collector.games.boards = np.full(2000, b.from_cells(np.array([[0, 0, 0, 0, 0, 1, 3, 0, 0, 5, 2, 0, 0, 0, 0, 0]]))[0])
    collector.games._look()
    assert collector.games.legal.all()
    best = agent.best(collector.games.boards[:1])[0]
    for epsilon, wanted in ((0.0, 1.0), (0.4, 0.7), (1.0, 0.25)):
        assert np.mean(collector.begin(agent, epsilon)() == best) == pytest.approx(wanted, abs=0.03)


# ---- training


def test_a_step_is_one_replay_and_only_moves_are_read(gpu, head, monkeypatch):
    agent, moves = DqnAgent(Settings(head=head, hidden=(4,), envs=8), device=gpu), some_moves()
    batch, collector = agent.batch(moves), Collector(agent.settings, Episodes())
    agent.learn(batch)
    collector.make(collector.begin(agent, 0.0)(), 0)
    replays, read = [], []
    replay, result = Recording.replay, Readback.result
    monkeypatch.setattr(Recording, "replay", lambda self, *args: (replays.append(self), replay(self, *args))[1])
    monkeypatch.setattr(Readback, "result", lambda self, *args, **more: (read.append(result(self, *args, **more)), read[-1])[1])
    agent.learn(batch)
    assert len(replays) == 1
    assert not read
    collector.make(collector.begin(agent, 0.0)(), 0)
    assert len(replays) == 2
    assert [(values.shape, values.dtype) for values in read] == [((8,), np.int32)]


@pytest.mark.parametrize("double", [False, True])
def test_a_step_is_that_of_numpy(gpu, cpu, head, double):
    moves, which = some_moves(), np.arange(40) % 8
    settings = Settings(head=head, hidden=(6,), reward="points", unit=10.0, double=double)
    agents = [DqnAgent(settings, device=device) for device in (gpu, cpu)]
    batch = agents[0].batch(moves, which)
    for agent in agents:
        agent.learn(batch)
    targets = [agent.targets(batch) for agent in agents]
    np.testing.assert_allclose(targets[0], targets[1], rtol=1e-5, atol=1e-5)
    differences = agents[0]._train.verify(*[gpu.tensor(part) for part in batch])
    assert len(differences) > 4
    assert max(d.relative_l2 for d in differences) < 1e-5


def test_the_target_network_follows_at_sync_alone(device):
    agent = DqnAgent(Settings(hidden=(4,)), device=device)
    batch = agent.batch(some_moves())
    first = agent.targets(batch)
    agent.learn(batch)
    assert np.array_equal(agent.targets(batch), first)
    agent.sync()
    assert not np.array_equal(agent.targets(batch), first)
    for name, values in agent.network.state_dict().items():
        assert np.array_equal(values, agent.target.state_dict()[name])


def test_training_syncs_in_its_rhythm_and_lowers_the_rate(cpu, monkeypatch):
    training, at = Training(Settings(**(SMALL | dict(updates=3))), device=cpu), []
    sync = DqnAgent.sync
    monkeypatch.setattr(DqnAgent, "sync", lambda agent: (at.append(training.step), sync(agent)))
    training.run()
    assert at == [5, 10]
    assert training.agent.optimizer.lr == pytest.approx(3e-4)
    assert training.moves == 24 + 4 * 8 - 8  # three rounds fill the memory, four of three steps each follow


def test_every_evaluation_happens_and_the_best_agent_is_kept(cpu, monkeypatch):
    monkeypatch.setattr("gpucore.systems.kan.game2048.training.REPORTS", 4)
    training = trained(cpu, evaluations=3, games=4)
    assert training.history["step"] == [3, 4, 6, 8, 9, 12]
    found = {int(r["step"]): r["evaluation"] for r in training.history.records if np.isfinite(r["evaluation"])}
    assert sorted(found) == [4, 8, 12]
    assert training.best_score == max(found.values()) == found[training.best_step]
    training.result(1)  # puts the best agent in place
    assert evaluate(agent_player(training.agent), 4, [0, 4]).mean == training.best_score


def trained(device, **changes):
    training = Training(Settings(**(SMALL | changes)), device=device)
    training.run()
    return training


def test_a_seed_decides_everything(gpu, cpu):
    first, again, other, numpy = trained(gpu), trained(gpu), trained(gpu, seed=1), trained(cpu)
    states = [t.agent.state_dict() for t in (first, again, other, numpy)]
    assert all(np.array_equal(states[1][name], values) for name, values in states[0].items())
    assert first.history["loss"] == again.history["loss"] != other.history["loss"]
    assert first.history["loss"] == pytest.approx(numpy.history["loss"], rel=1e-3)
    assert first.moves == numpy.moves > 0
    assert first.step == 12


def test_a_copy_of_an_agent_learns_by_itself(gpu):
    agent, moves = DqnAgent(Settings(hidden=(4,)), device=gpu), some_moves()
    agent.learn(agent.batch(moves))
    other, before = copy.deepcopy(agent), agent.state_dict()
    other.learn(other.batch(moves))
    assert all(np.array_equal(v, before[k]) for k, v in agent.state_dict().items())
    agent.learn(agent.batch(moves))
    assert all(np.array_equal(v, other.state_dict()[k]) for k, v in agent.state_dict().items()), "moments were copied too"


def test_an_agent_learns_to_beat_random_play(gpu):
    settings = Settings(steps=100, evaluations=1, games=10)
    training = Training(settings, device=gpu)
    training.run()
    result = training.result(25)
    assert result.scores.mean > 1.4 * result.random.mean  # three times after 300 steps


def test_training_ends_after_so_many_games(cpu):
    training = trained(cpu, steps=10_000, episodes=3, epsilon_share=1.0)
    assert 3 <= len(training.episodes) < 12
    assert training.step < 10_000


# ---- files


def test_a_training_goes_on_from_its_file(cpu, tmp_path):
    half = Training(Settings(**SMALL), device=cpu, folder=tmp_path)
    half.run()
    longer = Training(Settings(**(SMALL | dict(steps=24))), device=cpu, folder=tmp_path)
    longer.resume(tmp_path / "last.safetensors")
    assert (longer.step, longer.moves, len(longer.episodes)) == (12, half.moves, len(half.episodes))
    for name, values in half.agent.state_dict().items():
        assert np.array_equal(longer.agent.state_dict()[name], values)
    assert longer.agent.optimizer.steps == 12
    longer.run()
    assert (longer.step, longer.agent.optimizer.steps) == (24, 24)
    assert longer.moves > half.moves
    assert longer.history["step"] == sorted(set(longer.history["step"]))
    best = DqnAgent.load(tmp_path / "best.safetensors", device=cpu)
    assert evaluate(agent_player(best), 2, [0, 4]).mean == longer.best_score
    assert sample_game(agent_player(best), 1)[-1].count("\n") == 4


def test_files_of_something_else_are_refused(cpu, tmp_path):
    training = Training(Settings(**SMALL), device=cpu, folder=tmp_path)
    training.agent.save(tmp_path / "agent.safetensors")
    before = training.agent.state_dict()
    with pytest.raises(FormatError, match="holds no training"):
        training.resume(tmp_path / "agent.safetensors")
    with pytest.raises(FormatError, match="there is no file"):
        training.resume(tmp_path / "none.safetensors")
    training.agent.network.save(tmp_path / "network.safetensors")
    with pytest.raises(FormatError, match="something else"):
        DqnAgent.load(tmp_path / "network.safetensors", device=cpu)
    wide = DqnAgent(Settings(hidden=(5,)), device=cpu)
    with pytest.raises(FormatError, match=r"hidden \(4,\)"):
        wide.restore(tmp_path / "agent.safetensors")
    assert all(np.array_equal(training.agent.state_dict()[name], values) for name, values in before.items())


def test_smoothing_is_the_mean_of_the_latest():
    assert smoothed([1, 2, 3, 4], 2).tolist() == [1, 1.5, 2.5, 3.5]
    assert smoothed([], 2).tolist() == []


def test_the_command_trains_and_plays(capsys, tmp_path):
    options = [
        "--steps",
        "10",
        "--envs",
        "16",
        "--games",
        "4",
        "--hidden",
        "4",
        "--evaluations",
        "1",
        "--device",
        "cpu",
        "--out",
        str(tmp_path),
        "--json",
    ]
    assert cli.main(["run", "kan", "2048", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["times_random"] == pytest.approx(found["scores"]["mean"] / found["random"]["mean"], rel=1e-6)
    assert found["speed"]["collected_episodes"] > 0
    for name in (
        "network.safetensors",
        "best.safetensors",
        "last.safetensors",
        "history.csv",
        "episodes.csv",
        "result.json",
        "learning.png",
    ):
        assert (tmp_path / name).stat().st_size > 0
    assert cli.main(["run", "kan", "2048", "--play", str(tmp_path / "best.safetensors"), "--device", "cpu"]) == 0
    assert "score" in capsys.readouterr().out.splitlines()[-5]
    assert cli.main(["run", "kan", "2048", "--gamma", "2", "--device", "cpu"]) != 0
    assert "gamma is 2.0; wants a number from 0 to 1" in capsys.readouterr().err
