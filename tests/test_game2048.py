from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gpucore.errors import ConfigError, ShapeError
from gpucore.systems.kan.game2048 import Epsilon, Game2048, Replay, Settings, Transitions, evaluate, greedy_player, random_player
from gpucore.systems.kan.game2048 import boards as b
from gpucore.systems.kan.game2048.encoding import INPUTS, PAIRS, encode
from gpucore.systems.kan.game2048.players import random_moves

# ---- the rules once more, slowly, on lists of tiles


def slow_row(row):
    """Tiles of a row pushed to its start, and the points: https://play2048.co, by its rules."""
    tiles, made, points = [t for t in row if t], [], 0
    while tiles:
        tile = tiles.pop(0)
        if tiles and tiles[0] == tile and tile < 32768:
            tile += tiles.pop(0)
            points += tile
        made.append(tile)
    return made + [0] * (4 - len(made)), points


def slow_move(board, move):
    """(board, points) of a move on a 4 x 4 list of tiles."""
    columns = move in (b.UP, b.DOWN)
    back = move in (b.RIGHT, b.DOWN)
    lines = [[board[j][i] if columns else board[i][j] for j in range(4)] for i in range(4)]
    found = [slow_row(line[::-1] if back else line) for line in lines]
    lines = [line[::-1] if back else line for line, _ in found]
    return [[lines[j][i] if columns else lines[i][j] for j in range(4)] for i in range(4)], sum(points for _, points in found)


def tiles(board):
    return [[(1 << int(e)) if e else 0 for e in row] for row in b.to_cells(np.array([board]))[0].reshape(4, 4)]


def some_boards(n, seed=0, most=8):
    """Boards from nearly empty to full, most with neighbours that merge."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(1, rng.integers(2, most, (n, 1)) + 1, (n, 16)) * (rng.random((n, 16)) < rng.uniform(0.2, 1.2, (n, 1)))
    return b.from_cells(cells)


def ended(count=30):
    games, rng = Game2048(count, 9), np.random.default_rng(9)
    while not games.done.all():
        games.step(random_moves(games.legal, rng))
    return games.boards


def test_moves_are_those_of_the_slow_rules():
    rng = np.random.default_rng(1)
    boards = np.concatenate([some_boards(400), ended(), b.from_cells(rng.integers(11, 16, (100, 16)))])
    slides = b.slides(boards)
    assert 30 <= (~slides.legal.any(axis=1)).sum() < 100
    for i, board in enumerate(boards):
        for move in range(4):
            wanted, points = slow_move(tiles(board), move)
            assert tiles(slides.boards[i, move]) == wanted
            assert slides.points[i, move] == points
            assert slides.legal[i, move] == (wanted != tiles(board))


def test_whole_games_follow_the_rules():
    games, rng = Game2048(8, 3), np.random.default_rng(3)
    assert [int((b.to_cells(games.boards)[i] > 0).sum()) for i in range(8)] == [2] * 8
    totals = np.zeros(8, int)
    while not games.done.all():
        before, alive = games.boards.copy(), ~games.done
        moves = random_moves(games.legal, rng)
        points = games.step(moves)
        for i in range(8):
            if not alive[i]:
                assert games.boards[i] == before[i]
                assert points[i] == 0
                continue
            slid, gained = slow_move(tiles(before[i]), moves[i])
            assert gained == points[i]
            totals[i] += gained
            new = [
                (was, now) for r, s in zip(slid, tiles(games.boards[i]), strict=True) for was, now in zip(r, s, strict=True) if was != now
            ]
            assert new in ([(0, 2)], [(0, 4)])
            stuck = all(slow_move(tiles(games.boards[i]), m)[0] == tiles(games.boards[i]) for m in range(4))
            assert games.done[i] == stuck
    assert games.scores.tolist() == totals.tolist() == games.finished().scores.tolist()
    assert games.finished().largest.tolist() == b.to_cells(games.boards).max(axis=1).tolist()
    games.restart(np.arange(8) < 4)
    assert games.done.tolist() == [False] * 4 + [True] * 4
    assert not games.scores[:4].any()


def test_new_tiles_are_uniform_and_one_in_ten_is_a_four():
    games = Game2048(4000, 5)
    start = b.from_cells(np.tile([1, 0, 2, 0, 3, 0, 0, 4, 5, 6, 0, 0, 0, 1, 2, 0], (4000, 1)))
    added = b.to_cells(games._spawned(start) ^ start)
    cells, fours = added.argmax(axis=1), (added.max(axis=1) == 2).sum()
    empty = np.flatnonzero(b.to_cells(start[:1])[0] == 0)
    counts = np.bincount(cells, minlength=16)
    assert counts.sum() == counts[empty].sum()
    assert stats.chisquare(counts[empty]).pvalue > 0.01
    assert stats.binomtest(int(fours), 4000, 0.1).pvalue > 0.01


def test_a_seed_gives_the_same_games():
    def play(seed):
        return [evaluate(player, 5, seed) for player in (random_player, greedy_player)]

    first, again, other = play(1), play(1), play(2)
    assert [s.mean for s in first] == [s.mean for s in again] != [s.mean for s in other]


def test_random_play_scores_what_it_is_known_to():
    scores = evaluate(random_player, 400, 0)
    assert 1000 < scores.mean < 1200  # about 1,090
    assert evaluate(greedy_player, 400, 0).mean > 1.5 * scores.mean
    assert scores.share(1) == 1
    assert sum(scores.as_dict()["largest_tiles"].values()) == 400


def test_moves_that_are_not_legal_are_refused_and_change_nothing():
    games = Game2048(2, 0)
    games.boards = b.from_cells(np.array([[1, *[0] * 15], [1, 2, *[0] * 14]]))
    games._look()
    held = games.boards.copy()
    for moves in ([b.RIGHT, b.LEFT], [b.LEFT, b.DOWN], [4, b.DOWN], [-1, b.DOWN]):
        with pytest.raises(ConfigError, match="is not legal; wants one of"):
            games.step(np.array(moves))
    for moves in (np.zeros(3, int), np.zeros(2)):
        with pytest.raises(ShapeError, match="wants 2 whole numbers"):
            games.step(moves)
    assert np.array_equal(games.boards, held)
    with pytest.raises(ConfigError, match="count is 0"):
        Game2048(0)


def test_only_legal_moves_are_drawn_all_of_them_as_often():
    boards = some_boards(3000)
    legal = b.slides(boards).legal
    playable = legal.any(axis=1)
    moves = random_moves(legal, np.random.default_rng(0))
    assert legal[np.arange(3000), moves][playable].all()
    three = np.tile([True, False, True, True], (3000, 1))
    assert stats.chisquare(np.bincount(random_moves(three, np.random.default_rng(1)), minlength=4)[[0, 2, 3]]).pvalue > 0.01


# ---- boards


def test_symmetries_are_those_of_the_square_and_take_moves_along():
    boards = some_boards(50)
    squares = b.to_cells(boards).reshape(-1, 4, 4)
    assert np.array_equal(b.from_cells(squares), boards)
    seen = set()
    for which in range(8):
        turned = b.symmetric(boards, np.full(50, which))
        wanted = squares[:, :, ::-1] if which & 1 else squares
        wanted = wanted[:, ::-1] if which & 2 else wanted
        wanted = wanted.swapaxes(1, 2) if which & 4 else wanted
        assert np.array_equal(b.to_cells(turned).reshape(-1, 4, 4), wanted)
        seen.add(turned.tobytes())
        here, there = b.slides(boards), b.slides(turned)
        for move in range(4):
            same = b.symmetric(here.boards[:, move], np.full(50, which))
            assert np.array_equal(same, there.boards[:, b.MOVE_OF[which, move]])
            assert np.array_equal(here.points[:, move], there.points[:, b.MOVE_OF[which, move]])
    assert len(seen) == 8


def test_the_encoding_is_exponents_and_differences_of_neighbours():
    x = encode(b.from_cells(np.arange(16).reshape(1, 16)))
    assert x.shape == (1, INPUTS)
    assert x[0, :16].tolist() == list(range(16))
    assert sorted(set(x[0, 16:].tolist())) == [-4, -1]
    assert len(set(PAIRS)) == 24
    assert b.show(b.from_cells(np.array([[1, 0, 11, *[0] * 13]]))[0]).split() == ["2", ".", "2048", *["."] * 13]


# ---- memory and schedule


def moves_of(numbers):
    numbers = np.asarray(numbers)
    return Transitions(numbers.astype(np.uint64), (numbers % 4).astype(np.uint8), numbers.astype(np.int32), numbers.astype(np.uint64) + 1)


def test_the_ring_overwrites_the_oldest_and_keeps_rows_together():
    replay = Replay(10, 0)
    for part in (range(4), range(4, 8), range(8, 13), [13]):
        replay.add(moves_of(part))
    assert len(replay) == 10
    drawn = replay.sample(500)
    assert set(drawn.points.tolist()) == set(range(4, 14))
    assert np.array_equal(drawn.boards, drawn.points)
    assert np.array_equal(drawn.next_boards, drawn.points + 1)
    assert np.array_equal(drawn.moves, drawn.points % 4)
    replay.add(moves_of(range(20, 45)))  # more than it holds
    assert set(replay.sample(500).points.tolist()) == set(range(35, 45))
    replay.add(moves_of([99]))
    assert set(replay.sample(500).points.tolist()) == {99, *range(36, 45)}


def test_the_memory_is_drawn_from_uniformly():
    replay = Replay(64, 7)
    replay.add(moves_of(range(50)))  # not full: the empty places are never drawn
    drawn = [replay.sample(100).points for _ in range(200)]
    counts = np.bincount(np.concatenate(drawn), minlength=64)
    assert not counts[50:].any()
    assert stats.chisquare(counts[:50]).pvalue > 0.01
    again = Replay(64, 7)
    again.add(moves_of(range(50)))
    assert np.array_equal(again.sample(100).points, drawn[0])


def test_a_memory_says_what_is_wrong():
    with pytest.raises(ConfigError, match="the memory is empty"):
        Replay(4).sample(1)
    with pytest.raises(ConfigError, match="capacity is 0"):
        Replay(0)
    with pytest.raises(ShapeError, match="as many in each"):
        Replay(4).add(moves_of(range(3))._replace(moves=np.zeros(2, np.uint8)))


def test_epsilon_falls_along_a_line():
    epsilon = Epsilon(1.0, 0.1, 90)
    assert [epsilon(step) for step in (0, 45, 90, 91, 10_000)] == pytest.approx([1.0, 0.55, 0.1, 0.1, 0.1])
    assert Epsilon(0.5, 0.1, 0)(0) == pytest.approx(0.1)
    settings = Settings(steps=1000, epsilon_share=0.25, epsilon_end=0.02, lr=1e-3)
    assert settings.epsilon == Epsilon(1.0, 0.02, 250)
    assert [settings.rate(step) for step in (0, 500, 1000)] == pytest.approx([1e-3, 5.5e-4, 1e-4])


@pytest.mark.parametrize(
    "wrong",
    [
        dict(head="both"), dict(reward="tiles"), dict(steps=0), dict(gamma=1.5), dict(lr=-1.0), dict(epsilon_end=2.0),
        dict(warmup=200_000), dict(unit=np.nan),
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match=rf"2048: {next(iter(wrong))} is .*; wants"):
        Settings(**wrong)


def test_rewards_are_points_or_their_root_in_units():
    points = np.array([0, 4, 1024], np.int32)
    assert Settings().rewards(points).tolist() == pytest.approx([0, 0.2, 3.2])
    assert Settings(reward="points", unit=8.0).rewards(points).tolist() == [0, 0.5, 128]
    assert Settings(reward="points").rewards(points).tolist() == [0, 0.0625, 16]


def test_settings_become_plain_data_and_back():
    settings = Settings(hidden=(16, 8), gamma=0.9)
    assert Settings.from_dict(settings.to_dict()) == settings
    with pytest.raises(ConfigError, match="wants some of"):
        Settings.from_dict({"colour": 1})
