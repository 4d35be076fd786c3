"""Makes samples: LLMs, diffusion models, renderers."""

_BACKENDS, _IMAGES = "synth.backends", "synth.images"

PARTS: dict[str, dict[str, str]] = {
    "text_model": {
        "dummy": f"{_BACKENDS}.dummy:Dummy",
        "openai": f"{_BACKENDS}.openai:OpenAI",
        "transformers": f"{_BACKENDS}.transformers:Transformers",
        "vllm": f"{_BACKENDS}.vllm:VLLM",
    },
    "image_model": {
        "diffusion": f"{_IMAGES}.diffusion:Diffusion",
        "dummy": f"{_IMAGES}.dummy:Dummy",
        "flyer": f"{_IMAGES}.flyer:Flyer",
        "tiny": f"{_IMAGES}.tiny:Tiny",
    },
}
