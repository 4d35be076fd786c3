"""Makes samples: LLMs, diffusion models, renderers."""

_BACKENDS = "synth.backends"

PARTS: dict[str, dict[str, str]] = {
    "text_model": {
        "dummy": f"{_BACKENDS}.dummy:Dummy",
        "openai": f"{_BACKENDS}.openai:OpenAI",
        "transformers": f"{_BACKENDS}.transformers:Transformers",
        "vllm": f"{_BACKENDS}.vllm:VLLM",
    },
}
