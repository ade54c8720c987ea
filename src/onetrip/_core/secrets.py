"""What must never be printed, and how it is masked in text that others wrote.

The registry is process-wide on purpose: a log record, a traceback or a library's message knows nothing of our objects.
"""

import json
import re
from functools import lru_cache

MASK = "***"
KEPT = 64
"""How many secrets are remembered: of credentials that rotate, the oldest are no secrets any more."""
SHORTEST = 6
"""A shorter secret is masked only where its place gives it away (``:pw@``, ``password=``): elsewhere it is a word."""

# Not secrets but words; masking them everywhere would turn "postgresql://" into "***ql://".
_WORDS = frozenset({"postgres", "postgresql", "password"})

# Compiled when something is written, and not at every start: `re` keeps what it compiled.
# In a PostgreSQL URL a password may hold raw /, ? or quotes: all up to the last @. Elsewhere, up to the first slash.
_POSTGRES_URL = r"(?i)(postgres(?:ql)?(?:\+\w+)?://[^\s/?#:@]*):(?!\*\*\*@)\S*@"
_ANY_URL = r"(?i)\b([a-z][a-z0-9+.\-]{0,30}://[^\s/?#:@'\"]*):(?!\*\*\*@)[^\s/?#'\"]*@"
_NAMED = r"""(?ix)
    ( (?:pg|ssl)?password ["']? \s* (?:=|:(?!//)) \s* )       # password=…, 'PGPASSWORD': …
    ( '(?:[^'\\]|\\.)*'? | "(?:[^"\\]|\\.)*"? | [^\s'"&,;)}\]]+ )
    """
_ESCAPE = r"%[0-9A-Fa-f%]|[\\+]"

_secrets: dict[str, None] = {}  # a set that keeps its order


def remember(secret: str | None) -> None:
    """Mask this value from now on in everything that passes ``redact``; short or everyday words are left out."""
    if secret and len(secret) >= SHORTEST and secret.lower() not in _WORDS and secret not in _secrets:
        _secrets[secret] = None
        for oldest in list(_secrets)[:-KEPT]:
            _secrets.pop(oldest, None)


def redact(text: str) -> str:
    """Mask remembered secrets, however they are escaped, and whatever stands where a password stands."""
    escaped = re.search(_ESCAPE, text)
    # Copied: another thread may remember a new one while this one looks.
    for secret in tuple(_secrets):
        if escaped:
            text = _pattern(secret).sub(MASK, text)  # first: "%" in clear is also the beginning of "%25"
        elif secret in text:
            text = text.replace(secret, MASK)
    if "://" in text:
        text = re.sub(_ANY_URL, rf"\1:{MASK}@", re.sub(_POSTGRES_URL, rf"\1:{MASK}@", text))
    if "password" in text.lower():
        text = re.sub(_NAMED, _mask_value, text)
    return text


@lru_cache(KEPT)
def _pattern(secret: str) -> re.Pattern[str]:
    return re.compile("".join(_forms(character) for character in secret))


def _mask_value(match: re.Match[str]) -> str:
    quote = match[2][0] if match[2][0] in "'\"" else ""
    return f"{match[1]}{quote}{MASK}{quote if len(match[2]) > 1 and match[2].endswith(quote) else ''}"


def _forms(character: str) -> str:
    """Return a pattern for one character in every spelling that URLs, ConfigParser, repr, JSON and bytes give it."""
    forms = {re.escape(character)}
    octets = character.encode("utf-8", "surrogatepass")
    forms.add("".join(f"%{{1,2}}(?i:{octet:02X})" for octet in octets))  # %% is how ConfigParser wants it
    if character == " ":
        forms.add(r"\+")
    elif character == "%":
        forms.add("%%")
    elif character in "\\'\"/":
        forms.add(r"\\" + re.escape(character))
    elif not " " < character < "\x7f":
        forms.add("".join(rf"\\x{octet:02x}" for octet in octets))
        forms |= {re.escape(repr(character)[1:-1]), re.escape(ascii(character)[1:-1])}
        forms.add(f"(?i:{re.escape(json.dumps(character)[1:-1])})")
    return f"(?:{'|'.join(sorted(forms, key=len, reverse=True))})"
