"""`gpucore run kan 2048`: a network of splines learns the game 2048 by deep Q-learning, or plays a game."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ...device import Device
from ...errors import ConfigError
from ...systems.kan.game2048 import HEADS, REWARDS, DqnAgent, Result, Scores, Settings, Training, agent_player, sample_game
from ...systems.kan.game2048.results import write_results
from ...systems.kan.pictures import can_draw
from ..output import Output, Progress
from .widths import hidden_widths

EXAMPLES = """\
examples:
  gpucore run kan 2048                               6000 steps; results in runs/kan-2048
  gpucore run kan 2048 --head moves --double         the network values the four moves of a board, double DQN
  gpucore run kan 2048 --resume --steps 12000        goes on from last.safetensors in the results' folder
  gpucore run kan 2048 --play runs/kan-2048/best.safetensors
"""
USUAL = Settings()


def add_parser(subparsers: Any) -> None:
    """Names the task and its options."""
    parser = subparsers.add_parser(
        "2048",
        help="learn the game 2048 by deep Q-learning",
        description="Deep Q-learning with a KAN as Q-network: many games at once, replay, target network, Huber loss.",
        epilog=EXAMPLES,
    )
    model = parser.add_argument_group("network")
    _option(model, "--head", "what the network values: boards after a move, or the moves of a board", choices=tuple(HEADS))
    model.add_argument("--hidden", default=",".join(map(str, USUAL.hidden)), metavar="N,N", help="hidden widths, 0 for none (default: 32)")
    _option(model, "--degree", "degree of the splines, 1 to 6")
    learning = parser.add_argument_group("learning")
    _option(learning, "--steps", "training steps")
    learning.add_argument("--episodes", type=int, default=0, metavar="N", help="end after so many games, if that is earlier")
    _option(learning, "--batch", "moves per training step")
    _option(learning, "--lr", "Adam's learning rate; it falls to a tenth")
    _option(learning, "--reward", "the points of a move, or their square root", choices=REWARDS)
    _option(learning, "--gamma", "discount of the next move's value")
    learning.add_argument("--double", action="store_true", help="double DQN: the learning network chooses the target's move")
    _option(learning, "--sync", "steps between copies into the target network")
    _option(learning, "--evaluations", "times that 50 games are played without random moves, to keep the best agent")
    games = parser.add_argument_group("games")
    _option(games, "--envs", "games side by side")
    _option(games, "--updates", "training steps after each move of all games")
    _option(games, "--capacity", "moves in the replay memory")
    _option(games, "--warmup", "moves in it before learning begins")
    _option(games, "--epsilon-start", "share of random moves at first")
    _option(games, "--epsilon-end", "share of random moves in the end")
    _option(games, "--epsilon-share", "part of the training over which it falls")
    games.add_argument("--games", type=int, default=200, metavar="N", help="new games in the last evaluation (default: 200)")
    games.add_argument("--out", default="runs/kan-2048", metavar="DIR", help="folder for the results (default: runs/kan-2048)")
    games.add_argument("--resume", action="store_true", help="go on from last.safetensors in the results' folder")
    games.add_argument("--play", metavar="FILE", help="do not train: show a game of the agent in this file")


def _option(group: Any, flag: str, text: str, **more: Any) -> None:
    """An option named like a field of Settings, with its type and default."""
    usual = getattr(USUAL, flag.removeprefix("--").replace("-", "_"))
    kind = {} if "choices" in more else {"type": type(usual), "metavar": "N" if isinstance(usual, int) else "X"}
    shown = usual if isinstance(usual, str) else f"{usual:g}"
    group.add_argument(flag, default=usual, help=f"{text} (default: {shown})", **kind, **more)


def run(args: argparse.Namespace, out: Output, device: Device) -> int:
    """Trains and writes the results, or plays."""
    if args.play:
        return _play(args, out, device)
    names = (
        "head", "degree", "reward", "steps", "episodes", "batch", "lr", "gamma", "double", "sync", "evaluations", "envs",
        "updates", "capacity", "warmup", "epsilon_start", "epsilon_end", "epsilon_share", "seed",
    )  # fmt: skip
    settings = Settings(hidden=hidden_widths(args.hidden), **{name: getattr(args, name) for name in names})
    if args.games < 1:
        raise ConfigError(f"kan 2048: games is {args.games}; wants 1 or more")
    folder = Path(args.out)
    training = Training(settings, device=device, folder=folder)
    if args.resume:
        training.resume(folder / "last.safetensors")
    config = training.agent.network.config
    out.say(f"KAN {list(config.widths)}, grid {config.grid_size}, degree {config.degree}, {config.parameter_count():,} parameters")
    out.say(f"{settings.envs} games at once, batch {settings.batch}, learning rate {settings.lr:g}, head {settings.head}, on {device.name}")
    _train(training, out)
    out.say(f"playing {args.games} new games by the agent of step {training.best_step or training.step}, at random and greedily")
    result = training.result(args.games)
    _tell(result, out)
    files = [folder / "best.safetensors", folder / "last.safetensors", *write_results(result, folder)]
    files = [file for file in files if file.exists()]
    out.say(f"wrote {', '.join(f.name for f in files)} to {folder}")
    if not can_draw():
        out.note("the learning curve needs matplotlib: pip install 'gpucore[plots]'")
    out.result(result.summary() | {"history": result.history.to_data(), "files": [str(f) for f in files]})
    return 0


def _train(training: Training, out: Output) -> None:
    """A line for each evaluation under a head, and a bar between them."""
    bar = Progress(out.stream, training.settings.steps, "steps")
    told = len(training.history)
    out.say(f"{'step':>7}{'moves':>11}{'games':>8}{'epsilon':>9}{'loss':>9}{'mean score':>12}{'evaluation':>12}{'seconds':>9}")

    def show(step: int, latest: dict[str, float]) -> None:
        nonlocal told
        if step % 10 == 0:
            bar.show(step, f"score {latest['score']:,.0f}" if latest else "")
        if len(training.history) > told:
            told = len(training.history)
            if np.isfinite(latest["evaluation"]):
                bar.clear()
                out.say(
                    f"{step:>7}{latest['moves']:>11,}{latest['episodes']:>8,}{latest['epsilon']:>9.2f}{latest['loss']:>9.4f}"
                    f"{latest['score']:>12,.0f}{latest['evaluation']:>12,.0f}{latest['seconds']:>9.1f}"
                )

    training.run(show)
    bar.clear()


def _tell(result: Result, out: Output) -> None:
    """Players side by side, and the speeds."""
    rows = [_row(name, scores) for name, scores in (("random", result.random), ("greedy", result.greedy), ("agent", result.scores))]
    out.table(("player", "mean score", "median", "moves", "256", "512", "1024", "2048", "largest"), rows, " rrrrrrrr")
    out.say(
        f"the agent has {result.scores.mean / result.random.mean:.1f} times the score of the random player and "
        f"{result.scores.mean / result.greedy.mean:.1f} times that of the greedy one"
    )
    speed = result.speed
    out.say(f"collecting experience: {speed.collected_episodes:.1f} episodes/s, {speed.collected_moves:,.0f} moves/s without learning")
    out.say(f"in training: {speed.episodes:.1f} episodes/s, {speed.moves:,.0f} moves/s, {speed.steps:.1f} training steps/s")


def _row(name: str, scores: Scores) -> tuple[str, ...]:
    shares = [f"{scores.share(exponent):.0%}" for exponent in (8, 9, 10, 11)]
    return (name, f"{scores.mean:,.0f}", f"{scores.median:,.0f}", f"{scores.moves:.0f}", *shares, str(1 << int(scores.largest.max())))


def _play(args: argparse.Namespace, out: Output, device: Device) -> int:
    """Prints a game of the agent in a file."""
    boards = sample_game(agent_player(DqnAgent.load(args.play, device=device)), args.seed)
    for board in boards:
        out.say(board)
    out.result({"game": boards})
    return 0
