"""What must never be printed, and how it is masked in text that others wrote.

The registry is process-wide on purpose: a log record, a traceback or a library's message knows nothing of our objects.
"""

import re

MASK = "***"
SHORTEST = 6
"""A shorter secret is masked only where its place gives it away (``:pw@``, ``password=``): elsewhere it is a word."""

# Not secrets but words; masking them everywhere would turn "postgresql://" into "***ql://".
_WORDS = frozenset({"postgres", "postgresql", "password"})

# In a PostgreSQL URL a password may hold raw /, ? or quotes: all up to the last @. Elsewhere, up to the first slash.
_POSTGRES_URL = re.compile(r"(?i)(postgres(?:ql)?(?:\+\w+)?://[^\s/?#:@]*):(?!\*\*\*@)\S*@")
_ANY_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.\-]*://[^\s/?#:@'\"]*):(?!\*\*\*@)[^\s/?#'\"]*@")
_NAMED = re.compile(
    r"""(?ix)
    ( (?:pg|ssl)?password ["']? \s* (?:=|:(?!//)) \s* )       # password=…, 'PGPASSWORD': …
    ( '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | [^\s'"&,;)}\]]+ )
    """
)
_HAS_NAME = re.compile(r"(?i)password")

_secrets: dict[str, re.Pattern[str]] = {}


def remember(secret: str | None) -> None:
    """Mask this value from now on in everything that passes ``redact``; short or everyday words are left out."""
    if secret and len(secret) >= SHORTEST and secret.lower() not in _WORDS and secret not in _secrets:
        _secrets[secret] = re.compile("".join(_forms(character) for character in secret))


def forget(secret: str) -> None:
    """Stop masking a value, for tests and for rotated credentials."""
    _secrets.pop(secret, None)


def redact(text: str) -> str:
    """Mask remembered secrets, however they are escaped, and whatever stands where a password stands."""
    # Copied: another thread may remember a new one while this one looks.
    for secret, pattern in tuple(_secrets.items()):
        if secret in text:
            text = text.replace(secret, MASK)
        if "%" in text or "\\" in text:
            text = pattern.sub(MASK, text)
    if "://" in text:
        text = _ANY_URL.sub(rf"\1:{MASK}@", _POSTGRES_URL.sub(rf"\1:{MASK}@", text))
    if _HAS_NAME.search(text):
        text = _NAMED.sub(_mask_value, text)
    return text


def _mask_value(match: re.Match[str]) -> str:
    quoted = match[2][0] if match[2][0] in "'\"" else ""
    return f"{match[1]}{quoted}{MASK}{quoted}"


def _forms(character: str) -> str:
    """Return a pattern for one character: raw, percent-encoded (``%%`` too, as ConfigParser wants), or backslashed."""
    encoded = "".join(f"%{{1,2}}{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    forms = [re.escape(character), f"(?i:{encoded})"]
    if character == " ":
        forms.append(r"\+")
    if character == "%":
        forms.append("%%")
    if character in "\\'\"/":
        forms.append(r"\\" + re.escape(character))
    code = ord(character)
    if code > 0x7E or code < 0x20:
        forms.append(re.escape(repr(character)[1:-1]))
        forms.extend(rf"\\{kind}{code:0{width}x}" for kind, width in (("x", 2), ("u", 4), ("U", 8)) if code < 16**width)
    return f"(?:{'|'.join(sorted(set(forms), key=len, reverse=True))})"
