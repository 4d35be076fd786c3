"""What no published row may hold: access tokens and private keys, always; addresses, numbers and names where the policy says.

The forms of tokens are those that their makers document, by prefix and length. A secret of no known form (a bare password, an
AWS secret key without its name beside it) is not found, nor one that is painted: of a picture only what its file says is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..policy import Policy
from . import embedded

SECRETS = {
    "Hugging Face token": r"\b(?:hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,})",
    "AWS access key": r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    "AWS secret key": r"(?i:aws)[\w .:='\"-]{0,30}(?i:secret|sk)[\w .:='\"-]{0,30}[ =:'\"][A-Za-z0-9/+]{40}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "OpenAI or Anthropic key": r"\bsk-(?:[a-z]+[0-9]*-)*[A-Za-z0-9_-]{20,}",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[0-9]-[A-Za-z0-9-]{10,}",
    "Slack webhook": r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/+]{20,}",
    "Google key": r"\bAIza[A-Za-z0-9_-]{35}",
    "Stripe key": r"\b[sr]k_live_[A-Za-z0-9]{20,}",
    "npm token": r"\bnpm_[A-Za-z0-9]{36}",
    "PyPI token": r"\bpypi-AgEI[A-Za-z0-9_-]{40,}",
    "SendGrid key": r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
    "Telegram token": r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",
    "JSON web token": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    "private key": r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY|PuTTY-User-Key-File-[0-9]",
    "password in a URL": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,64}:[^\s/:@]{3,64}@[A-Za-z0-9]",
}
EMAIL = r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b"
# Nine to fifteen digits (ITU-T E.164), one or two separators between any two.
PHONE = r"(?:^|[^0-9A-Za-z])\+?[0-9](?:[ .()/-]{0,2}[0-9]){8,14}(?:$|[^0-9A-Za-z])"
# Anything that one of `SECRETS` matches holds one of these. RE2 looks for all of them in one pass, at hundreds of MB a second.
_HINT = (
    r"hf_[A-Za-z0-9]{6}|api_org_|A(?:KI|SI|BI|CC)A[A-Z2-7]{4}|(?i:aws)|gh[pousr]_[A-Za-z0-9]{6}|github_pat_|glpat-|sk-[A-Za-z0-9]|"
    r"xox[abeoprs]-|xapp-|hooks\.slack|AIza|k_live_|npm_|pypi-|SG\.[A-Za-z0-9_-]{6}|[0-9]:AA|eyJ[A-Za-z0-9_-]{4}|PRIVATE KEY|"
    r"PuTTY-User|://[^\s/:@]+:[^\s/:@]+@"
)
COLUMNS = ("text", "generator")  # that `Scan.rows` looks at, beside the id
_INVISIBLE = r"[\x{00AD}\x{034F}\x{061C}\x{180E}\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}-\x{2064}\x{FE00}-\x{FE0F}\x{FEFF}]"


@dataclass(frozen=True, slots=True)
class Finding:
    """A row and what it holds; never the text itself."""

    id: str
    kind: str


class Scan:
    """Looks through rows; `literals` are strings that may stand nowhere, such as the token in use."""

    def __init__(self, policy: Policy | None = None, *, literals: Sequence[str] = ()):
        rules = policy.publish if policy else None
        self._kinds: dict[str, re.Pattern[str]] = {kind: re.compile(form) for kind, form in SECRETS.items()}
        hints = [_HINT]
        extra: Mapping[str, str] = {
            **({"e-mail address": EMAIL} if rules and rules.emails == "refuse" else {}),
            **({"phone number": PHONE} if rules and rules.phones == "refuse" else {}),
        }
        for kind, form in extra.items():
            self._kinds[kind] = re.compile(form)
            hints.append(form)
        if rules and rules.names:
            self._kinds["name of a person"] = re.compile(
                rf"(?<!\w)(?:{'|'.join(map(_loose, rules.names))})(?!\w)", re.IGNORECASE
            )
            hints.append(f"(?i:{'|'.join(map(_loose, rules.names))})")
        if literals:
            self._kinds["access token in use"] = re.compile("|".join(map(re.escape, literals)))
            hints.append("|".join(map(re.escape, literals)))
        self._hint = "|".join(f"(?:{hint})" for hint in hints)

    def rows(self, table: pa.Table) -> Iterator[Finding]:
        """What the rows of a table with `id`, `text` and `generator` hold, as written and after NFKC without invisible
        characters; where it has `image`, what the files say beside their pixels too."""
        columns = [table["text"], pc.struct_field(table["generator"], ["parameters"]), table["id"]]
        if "image" in table.schema.names:
            columns.append(pa.chunked_array([embedded.texts(table["image"])]))
        for column in columns:
            for i in self._suspects(column):
                written = column[i].as_py()
                for kind in self.kinds(written):
                    yield Finding(table["id"][i].as_py(), kind)

    def kinds(self, text: str) -> list[str]:
        import unicodedata

        plain = re.sub(_INVISIBLE.replace(r"\x{", r"\u").replace("}", ""), "", unicodedata.normalize("NFKC", text))
        return [kind for kind, form in self._kinds.items() if form.search(text) or form.search(plain)]

    def _suspects(self, column: pa.ChunkedArray) -> list[int]:
        """Positions of the rows that may hold something, by one pass of RE2."""
        found = pc.fill_null(pc.match_substring_regex(column, self._hint), False)
        odd = pc.indices_nonzero(pc.invert(pc.fill_null(pc.string_is_ascii(column), True)))
        hits = pc.indices_nonzero(found).to_pylist()
        if not len(odd):
            return hits
        plain = pc.replace_substring_regex(pc.utf8_normalize(column.take(odd), "NFKC"), _INVISIBLE, "")
        also = odd.filter(pc.fill_null(pc.match_substring_regex(plain, self._hint), False))
        return sorted({*hits, *also.to_pylist()})


def told(findings: Sequence[Finding], most: int = 5) -> str:
    """Kinds and ids, a line."""
    by_kind: dict[str, list[str]] = {}
    for found in findings:
        by_kind.setdefault(found.kind, []).append(found.id)
    return "; ".join(
        f"{len(ids)} with a {kind} ({', '.join(ids[:most])}{', ...' if len(ids) > most else ''})"
        for kind, ids in by_kind.items()
    )


def _loose(name: str) -> str:
    """A name with any white space between its words, for RE2 and `re` alike."""
    return r"\s+".join(re.escape(word) for word in name.split())


def mask(table: pa.Table, ids: set[str]) -> Any:
    return pc.is_in(table["id"], value_set=pa.array(sorted(ids), pa.string()))
