"""The words and tools that every stage of Sparring shares. Imports no stage, and nothing heavy at import."""

__version__ = "0.1.0"

_OPERATORS = "sparring.operators"

PARTS = {
    "operator": {
        "homoglyph": f"{_OPERATORS}.homoglyph:Homoglyph",
        "zero_width": f"{_OPERATORS}.zero_width:ZeroWidth",
        "full_width": f"{_OPERATORS}.full_width:FullWidth",
        "leet": f"{_OPERATORS}.leet:Leet",
        "spacing": f"{_OPERATORS}.spacing:Spacing",
        "typo": f"{_OPERATORS}.typo:Typo",
        "texting": f"{_OPERATORS}.texting:Texting",
        "merge": f"{_OPERATORS}.merge:Merge",
        "alphabet": f"{_OPERATORS}.alphabet:Alphabet",
        "emoji": f"{_OPERATORS}.emoji:Emoji",
        "diacritic": f"{_OPERATORS}.diacritic:Diacritic",
        "case": f"{_OPERATORS}.case:Case",
        "keyboard": f"{_OPERATORS}.keyboard:Keyboard",
        "phonetic": f"{_OPERATORS}.phonetic:Phonetic",
        "punctuation": f"{_OPERATORS}.punctuation:Punctuation",
        "repeat": f"{_OPERATORS}.repeat:Repeat",
        "split": f"{_OPERATORS}.split:Split",
        "decoration": f"{_OPERATORS}.decoration:Decoration",
        "filler": f"{_OPERATORS}.filler:Filler",
        "misspelling": f"{_OPERATORS}.misspelling:Misspelling",
        "synonym": f"{_OPERATORS}.synonym:Synonym",
        "digits": f"{_OPERATORS}.digits:Digits",
        "romanise": f"{_OPERATORS}.romanise:Romanise",
        "cyrillise": f"{_OPERATORS}.cyrillise:Cyrillise",
        "quoting": f"{_OPERATORS}.quoting:Quoting",
        "dilution": f"{_OPERATORS}.dilution:Dilution",
    },
    "target": {
        "dummy": "sparring.targets.dummy:DummyTarget",
        "http": "sparring.targets.http:HttpTarget",
        "llm_guard": "sparring.targets.llm_guard:LlmGuard",
        "onnx": "sparring.targets.onnx:OnnxTarget",
        "pretrained": "sparring.targets.pretrained:PretrainedTarget",
        "python": "sparring.targets.python:PythonTarget",
        "sklearn": "sparring.targets.sklearn:SklearnTarget",
        "sklearn_file": "sparring.targets.sklearn_file:SklearnFileTarget",
        "transformers": "sparring.targets.transformers:TransformersTarget",
    },
    "embedder": {
        "dummy": "sparring.embed:DummyEmbedder",
        "minilm": "sparring.embed:MiniLM",
        "wordllama": "sparring.embed:WordLlamaEmbedder",
    },
    "image_embedder": {"pixels": "sparring.pixels:Pixels"},
    "verdicts": {
        "dummy": "sparring.verdicts.dummy:Dummy",
        "openai": "sparring.verdicts.openai:OpenAI",
        "transformers": "sparring.verdicts.transformers:Transformers",
        "vllm": "sparring.verdicts.vllm:VLLM",
    },
}
