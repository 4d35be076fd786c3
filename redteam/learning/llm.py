"""Trains a language model to rewrite what a target catches: GRPO with a LoRA adapter, the target's score in the loop."""

from __future__ import annotations

import json
import math
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from sparring import randomness
from sparring.causal import CausalLM
from sparring.custody import is_prohibited
from sparring.errors import JobError, MissingExtra, SparringError
from sparring.policy import Policy
from sparring.protocols import Judge, Target
from sparring.quiet import quiet

from ..engine import Seed
from .rewards import Fluency, Referee
from .rewrites import WEIGHTS, Rewards, ask

ABOUT = "attacker.json"  # beside the adapter: what made it
KEPT = {"loss", "grad_norm", "reward", "entropy", *(f"rewards/{name}/mean" for name in WEIGHTS)}  # of the trainer's log


@dataclass(kw_only=True)
class Rewriter(CausalLM):
    """The model that is trained, by reference, and how. `group` answers to each of `prompts` prompts make one step."""

    model: str
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    group: int = 8
    prompts: int = 2
    max_new_tokens: int = 80
    learning_rate: float = 5e-5
    rank: int = 8

    def describe(self) -> dict[str, Any]:
        return {"model": self._public_name, "revision": self.revision or self._content, "licence": self._stated_licence}

    def settings(self) -> dict[str, Any]:
        own = ("group", "prompts", "max_new_tokens", "learning_rate", "rank")
        return {name: getattr(self, name) for name in own} | {"dtype": self._dtype, "weights": WEIGHTS}

    def steps(self, referee: Referee) -> int:
        """Steps that the queries left are enough for, whatever is written. Raises `JobError` where there is none."""
        price = 2 * self.group * self.prompts
        if referee.left < price:
            raise JobError(f"expected {price} queries for a step, {referee.left} are left. Fix: more --queries")
        return referee.left // price

    def train(
        self, target: Target, judge: Judge, seeds: Sequence[Seed], policy: Policy, rows: Sequence[str], folder: pathlib.Path, *,
        budget: int, seed: int = 0, progress: Callable[[int, int], None] = lambda *_: None,
    ) -> dict[str, Any]:  # fmt: skip
        """Spends at most `budget` scores of the target, and leaves the adapter, its tokenizer and `attacker.json` in
        `folder`; returns what the latter holds. `seeds` are violating training rows, `rows` what fluency is measured by.

        Each reward is normalised in its group (GDPO). Raises `SparringError` where the loss or a gradient is not finite.
        """
        check_installed()
        allowed = [s for s in seeds if policy.category(s.label).may_generate]
        referee = Referee(target, judge, budget=budget)
        asked = {s.id: ask(s, policy) for s in allowed}
        prey = referee.caught([s for s in allowed if not is_prohibited(s.text, *asked[s.id])])
        steps = self.steps(referee)
        rendered = {self._unmarked(self._chat(*asked[s.id])): s for s in prey}
        rewards = Rewards(referee, rendered, Fluency(rows), self.group)
        with randomness.kept(), self._limited_threads(), quiet(), tempfile.TemporaryDirectory(prefix="sparring-") as place:
            trainer = self._trainer(rewards, place, steps=steps, seed=seed, progress=progress)
            trainer.train()
        history = [{k: v for k, v in entry.items() if k in KEPT} for entry in trainer.state.log_history if "loss" in entry]
        for number, entry in enumerate(history, 1):
            if not math.isfinite(entry["loss"]) or not math.isfinite(entry["grad_norm"]):
                raise SparringError(
                    f"training diverged: step {number} has a loss of {entry['loss']}. Fix: a lower learning rate"
                )
        trainer.model.save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's, empty but for where the base lies on this disk
        said = {
            "made": "an adapter that rewrites messages to pass a filter; for testing that filter",
            **self.describe(), "seed": seed,
            "settings": self.settings(), "steps": steps, "prompts": len(prey), "queries": referee.queries,
            "success": round(rewards.won / max(1, rewards.seen), 4), "refused_by_custody": rewards.refused,
            "versions": {name: version(name) for name in ("trl", "peft", "transformers", "torch")}, "history": history,
        }  # fmt: skip
        (folder / ABOUT).write_text(json.dumps(said, indent=1), encoding="utf-8")
        return said

    def _unmarked(self, prompt: str) -> str:
        """Without a first token that the tokenizer puts there by itself."""
        first = self._tokenizer.bos_token
        adds = first and self._tokenizer("a")["input_ids"][0] == self._tokenizer.bos_token_id
        return prompt.removeprefix(first) if adds else prompt

    def _trainer(self, rewards: Rewards, place: str, *, steps: int, seed: int, progress: Callable[[int, int], None]) -> Any:
        from datasets import Dataset
        from peft import LoraConfig
        from transformers import PrinterCallback, TrainerCallback
        from trl import GRPOConfig, GRPOTrainer

        class Told(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                progress(state.global_step, steps)

        arguments = GRPOConfig(
            output_dir=place, seed=seed, max_steps=steps, learning_rate=self.learning_rate, lr_scheduler_type="constant",
            per_device_train_batch_size=self.group * min(self.prompts, len(rewards.seeds)), gradient_accumulation_steps=1,
            num_generations=self.group, max_completion_length=self.max_new_tokens, temperature=1.0,
            reward_weights=list(WEIGHTS.values()), multi_objective_aggregation="normalize_then_sum",
            use_cpu=self._device == "cpu", bf16=self._device == "cuda", gradient_checkpointing=self._device != "cpu",
            dataloader_pin_memory=self._device != "cpu", logging_steps=1, save_strategy="no", report_to="none",
            disable_tqdm=True, log_level="error", log_completions=False,
        )  # fmt: skip
        lora = LoraConfig(
            r=self.rank, lora_alpha=2 * self.rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        trainer = GRPOTrainer(
            model=self._model, reward_funcs=rewards.functions(), args=arguments, peft_config=lora,
            train_dataset=Dataset.from_dict({"prompt": list(rewards.seeds)}), processing_class=self._tokenizer,
            callbacks=[Told()],
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        return trainer


def check_installed() -> None:
    """Raises `MissingExtra` for what the extra `rl` installs."""
    for package in ("trl", "peft"):
        if find_spec(package) is None:
            raise MissingExtra("training a language model by reinforcement", package, "rl")


def about(folder: pathlib.Path) -> dict[str, Any]:
    """What made the adapter in a folder, but for the history of its training."""
    found = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return {name: value for name, value in found.items() if name != "history"}
