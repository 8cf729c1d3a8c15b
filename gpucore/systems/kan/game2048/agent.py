"""The agent: a KAN as Q-network, a target network that follows it, and the step that teaches it."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, Self

import numpy as np

from .... import ops
from ....autograd import no_grad
from ....device import Device
from ....device.transfer import Readback
from ....errors import ConfigError, FormatError
from ....nn import Module
from ....pipeline import Pipeline
from ....train import Checkpoint
from .. import KanLoss, KanNetwork, KanStep
from . import boards as b
from .encoding import encode
from .replay import Transitions
from .settings import Settings, network_config
from .targets import bellman_target, best_move, double_target

MAX_GRAD_NORM = 10.0


class Batch(NamedTuple):
    """What a training step takes, float32: inputs [n, 40] of which `taken` [n, outputs] marks the output that is taught,
    rewards [n], and of the boards after: inputs, rewards and legality [n, 4] of their moves."""

    x: np.ndarray
    taken: np.ndarray
    rewards: np.ndarray
    next_x: np.ndarray
    next_rewards: np.ndarray
    next_legal: np.ndarray


class DqnAgent(Module):
    """Q(s, a), the discounted rewards (see `Settings.rewards`) from a move on, and the play that follows from it.

    head "moves":       the network sees the board and has an output Q(s, a) per move.
    head "afterstates": it sees the board that a move leaves, before the new tile, and has one output V of it;
                        Q(s, a) = r(s, a) + γ·V(after(s, a)), for reward and board after a move are known exactly.
                        (Szubert and Jaśkowski, "Temporal difference learning of N-tuple networks for the game 2048",
                        2014). A board is then four inputs instead of one, and much less is left to learn.

    Both are taught by the Bellman equation: see `targets`. The first weights are those of the settings' seed.
    """

    def __init__(self, settings: Settings, *, device: Device | None = None) -> None:
        self.settings = settings
        config = network_config(settings)
        self.network = KanNetwork(config, device=device)
        self.target = KanNetwork(config, device=self.network.device)
        self._step = KanStep(self.network, loss=KanLoss("huber"), optimizer="adam", lr=settings.lr, max_grad_norm=MAX_GRAD_NORM)
        self._best, self._train, self._targets = Pipeline(self._choose), Pipeline(self._teach), Pipeline(self._aim)

    @property
    def device(self) -> Device:
        """Where the networks are."""
        return self.network.device

    @property
    def optimizer(self) -> Any:
        """Adam over the network that learns."""
        return self._step.optimizer

    @property
    def afterstates(self) -> bool:
        """Whether the network values boards after moves, not moves."""
        return self.settings.head == "afterstates"

    def to(self, device: Device) -> Self:
        """A copy on another device, optimizer included; it has recordings of its own, so that each learns by itself."""
        made = type(self)(self.settings, device=device)
        made.load_state_dict(self.state_dict())
        made.optimizer.load_state_dict(self.optimizer.state_dict())
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """See `to`."""
        return self.to(self.device)

    # ---- play

    def best_async(self, boards: np.ndarray, slides: b.Slides) -> Readback:
        """Starts finding the legal move of the largest Q for boards [n] and what their moves do; int32 [n]."""
        return self._best(*map(self.device.tensor, self._seen(boards, slides))).read_async()  # type: ignore[no-any-return]

    def best(self, boards: np.ndarray, slides: b.Slides | None = None) -> np.ndarray:
        """The legal move of the largest Q for each board [n]; 0 where none is legal."""
        moves: np.ndarray = self.best_async(boards, b.slides(boards) if slides is None else slides).result()
        return moves

    def _seen(self, boards: np.ndarray, slides: b.Slides) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(inputs [n or 4n, 40], rewards [n, 4], legality [n, 4]) of boards."""
        seen = slides.boards.reshape(-1) if self.afterstates else boards
        return encode(seen), self.settings.rewards(slides.points), slides.legal.astype(np.float32)

    def _choose(self, x: Any, rewards: Any, legal: Any) -> Any:
        with no_grad():
            return best_move(self._values(self.network, x, rewards), legal)

    def _values(self, network: KanNetwork, x: Any, rewards: Any) -> Any:
        """Q [n, 4] by one of the networks."""
        values = network(x)
        return rewards + ops.reshape(values, rewards.shape) * self.settings.gamma if self.afterstates else values

    # ---- learning

    def batch(self, moves: Transitions, symmetries: np.ndarray | None = None) -> Batch:
        """Host arrays of a training step; symmetries [n], 0 to 7, turn and mirror each move's boards, which keeps their value."""
        n = len(moves.moves)
        which = np.zeros(n, np.int64) if symmetries is None else symmetries
        boards, following = b.symmetric(moves.boards, which), b.symmetric(moves.next_boards, which)
        made, rewards = b.MOVE_OF[which, moves.moves], self.settings.rewards(moves.points)
        next_x, next_rewards, next_legal = self._seen(following, b.slides(following))
        if self.afterstates:  # the reward of the move itself is known, so V is taught what comes after it alone
            x, taken = encode(b.slides(boards).boards[np.arange(n), made]), np.ones((n, 1), np.float32)
            rewards = np.zeros_like(rewards)
        else:
            x, taken = encode(boards), np.eye(b.MOVES, dtype=np.float32)[made]
        return Batch(x, taken, rewards, next_x, next_rewards, next_legal)

    def learn(self, batch: Batch) -> Any:
        """One training step, replayed as one submission: targets, Huber loss of the outputs taken, Adam. The loss, not waited for."""
        return self._train(*map(self.device.tensor, batch))

    def targets(self, batch: Batch) -> np.ndarray:
        """[n]: what the outputs taken are taught in this batch."""
        values: np.ndarray = self._targets(*map(self.device.tensor, batch[2:])).numpy()
        return values

    def sync(self) -> None:
        """The target network takes over the values of the one that learns; on the device."""
        for held, new in zip(self.target.parameters(), self.network.parameters(), strict=True):
            held.assign(new)

    def _aim(self, rewards: Any, next_x: Any, next_rewards: Any, next_legal: Any) -> Any:
        gamma = 1.0 if self.afterstates else self.settings.gamma  # V is discounted where Q is made of it
        with no_grad():
            values = self._values(self.target, next_x, next_rewards)
            if not self.settings.double:
                return bellman_target(rewards, values, next_legal, gamma)
            return double_target(rewards, values, self._values(self.network, next_x, next_rewards), next_legal, gamma)

    def _teach(self, x: Any, taken: Any, rewards: Any, next_x: Any, next_rewards: Any, next_legal: Any) -> Any:
        y = self._aim(rewards, next_x, next_rewards, next_legal)
        return self._step(x, ops.broadcast_to(ops.reshape(y, (y.shape[0], 1)), taken.shape), taken)

    # ---- files

    def save(self, *paths: str | os.PathLike[str], info: dict[str, Any] | None = None) -> None:
        """Writes both networks, the optimizer and the settings, with more plain data in `info`."""
        Checkpoint.of(self, self.optimizer, (info or {}) | {"settings": self.settings.to_dict()}).save(*paths)

    def restore(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """Takes over a file's networks and optimizer, all or nothing; returns its `info`."""
        found = Checkpoint.load(path)
        saved = _settings(found, path)
        if network_config(saved).widths != self.network.config.widths or saved.degree != self.settings.degree:
            raise FormatError(f"2048: {path} is of head {saved.head}, hidden {saved.hidden}, degree {saved.degree}; wants the agent's own")
        found.restore(self, self.optimizer)
        return found.info

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: Device | None = None) -> DqnAgent:
        """The agent in a file that `save` wrote; FormatError for any other."""
        found = Checkpoint.load(path)
        agent = cls(_settings(found, path), device=device)
        found.restore(agent, agent.optimizer)
        return agent


def _settings(found: Checkpoint, path: str | os.PathLike[str]) -> Settings:
    try:
        return Settings.from_dict(found.info["settings"])
    except (KeyError, TypeError, ConfigError) as error:
        raise FormatError(f"2048: {path} holds no agent of this game ({error})") from None
