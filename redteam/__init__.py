"""Fools a target: attacks, criteria, budgets, judges, self-play."""

PARTS = {
    "attack": {"greedy": "redteam.attacks.greedy:Greedy"},
    "judge": {"classifier": "redteam.judges.classifier:ClassifierJudge"},
}
