"""Fools a target: attacks, criteria, budgets, judges, self-play."""

_ATTACKS, _JUDGES = "redteam.attacks", "redteam.judges"

_OF_IMAGES = {
    "nets": f"{_JUDGES}.images:Nets",
    "ocr": f"{_JUDGES}.ocr:Ocr",
    "shieldgemma2": f"{_JUDGES}.image_guard:ShieldGemma2",
    "llavaguard": f"{_JUDGES}.image_guard:LlavaGuard",
}

PARTS = {
    "attack": {
        "greedy": f"{_ATTACKS}.greedy:Greedy",
        "beam": f"{_ATTACKS}.beam:Beam",
        "restarts": f"{_ATTACKS}.restarts:RandomRestarts",
        "bandit": f"{_ATTACKS}.bandit:Bandit",
        "evolution": f"{_ATTACKS}.evolution:Evolution",
        "learned": f"{_ATTACKS}.learned:Learned",
        "hotflip": f"{_ATTACKS}.hotflip:HotFlip",
        "pair": f"{_ATTACKS}.pair:Pair",
        "tap": f"{_ATTACKS}.tap:Tap",
        "transfer": f"{_ATTACKS}.transfer:Transfer",
    },
    "judge": {
        "all": f"{_JUDGES}.criteria:All",
        "classifier": f"{_JUDGES}.classifier:ClassifierJudge",
        "llm": f"{_JUDGES}.llm:LlmJudge",
    },
    "image_attack": {
        "corrupt": "redteam.images.corrupt:Corrupt",
        "guided": "redteam.images.attack:GuidedDiffusion",
        "redraw": "redteam.images.redraw:Redraw",
        "search": "redteam.images.resample:Resample",
    },
    "image_judge": {"all": f"{_JUDGES}.criteria:All", **_OF_IMAGES},
    "image_criterion": _OF_IMAGES,
    "criterion": {
        "payload": f"{_JUDGES}.criteria:PayloadKept",
        "length": f"{_JUDGES}.criteria:Length",
        "edit_distance": f"{_JUDGES}.criteria:EditDistance",
        "cosine": f"{_JUDGES}.criteria:Cosine",
        "classifier": f"{_JUDGES}.criteria:Classifier",
        "readable": f"{_JUDGES}.readable:Readable",
        "llm": f"{_JUDGES}.llm:LlmJudge",
    },
}
