"""Finds what is worth labelling and training on."""

_SELECTORS = "mining.selection.strategies"

PARTS: dict[str, dict[str, str]] = {
    "selector": {
        "badge": f"{_SELECTORS}:Badge",
        "entropy": f"{_SELECTORS}:Entropy",
        "facility_location": f"{_SELECTORS}:FacilityLocation",
        "k_center": f"{_SELECTORS}:KCenter",
        "margin": f"{_SELECTORS}:Margin",
        "mixed": f"{_SELECTORS}:Mixed",
        "random": f"{_SELECTORS}:Random",
    }
}
