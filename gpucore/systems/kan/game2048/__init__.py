"""2048 by deep Q-learning with a KAN as Q-network: many games at once, replay, target network, afterstates.

training = game2048.Training(game2048.Settings(steps=4000))
training.run()
print(training.result().summary())
"""

from .agent import DqnAgent
from .environment import Game2048
from .players import Scores, agent_player, evaluate, greedy_player, random_player, sample_game
from .replay import Replay, Transitions
from .settings import HEADS, REWARDS, Epsilon, Settings
from .training import Result, Training

__all__ = [
    "HEADS", "REWARDS", "DqnAgent", "Epsilon", "Game2048", "Replay", "Result", "Scores", "Settings", "Training", "Transitions",
    "agent_player", "evaluate", "greedy_player", "random_player", "sample_game",
]  # fmt: skip
