"""What must never be printed, and how it is masked in text that others wrote.

The registry is process-wide on purpose: a log record, a traceback or a library's message knows nothing of our objects.
"""

import json
import re

MASK = "***"
KEPT = 64
"""How many secrets are remembered: of credentials that rotate, the oldest are no secrets any more."""
SHORTEST = 6
"""A shorter secret is masked only where its place gives it away (``:pw@``, ``password=``): elsewhere it is a word."""

# Not secrets but words; masking them everywhere would turn "postgresql://" into "***ql://".
_WORDS = frozenset({"postgres", "postgresql", "password"})

# In a PostgreSQL URL a password may hold raw /, ? or quotes: all up to the last @. Elsewhere, up to the first slash.
_POSTGRES_URL = re.compile(r"(?i)(postgres(?:ql)?(?:\+\w+)?://[^\s/?#:@]*):(?!\*\*\*@)\S*@")
_ANY_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.\-]{0,30}://[^\s/?#:@'\"]*):(?!\*\*\*@)[^\s/?#'\"]*@")
_NAMED = re.compile(
    r"""(?ix)
    ( (?:pg|ssl)?password ["']? \s* (?:=|:(?!//)) \s* )       # password=…, 'PGPASSWORD': …
    ( '(?:[^'\\]|\\.)*'? | "(?:[^"\\]|\\.)*"? | [^\s'"&,;)}\]]+ )
    """
)
_ESCAPE = re.compile(r"%[0-9A-Fa-f%]|[\\+]")

_secrets: dict[str, re.Pattern[str]] = {}


def remember(secret: str | None) -> None:
    """Mask this value from now on in everything that passes ``redact``; short or everyday words are left out."""
    if secret and len(secret) >= SHORTEST and secret.lower() not in _WORDS and secret not in _secrets:
        _secrets[secret] = re.compile("".join(_forms(character) for character in secret))
        for oldest in list(_secrets)[:-KEPT]:
            _secrets.pop(oldest, None)


def redact(text: str) -> str:
    """Mask remembered secrets, however they are escaped, and whatever stands where a password stands."""
    escaped = _ESCAPE.search(text)
    # Copied: another thread may remember a new one while this one looks.
    for secret, pattern in tuple(_secrets.items()):
        if escaped:
            text = pattern.sub(MASK, text)  # first: "%" in clear is also the beginning of "%25"
        elif secret in text:
            text = text.replace(secret, MASK)
    if "://" in text:
        text = _ANY_URL.sub(rf"\1:{MASK}@", _POSTGRES_URL.sub(rf"\1:{MASK}@", text))
    if "password" in text.lower():
        text = _NAMED.sub(_mask_value, text)
    return text


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
