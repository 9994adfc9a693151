"""Which characters a text of a client may have that is drawn, or becomes part of a name."""

import unicodedata

# Without joiners a word of Persian, of Indic scripts, or an emoji is another one; the marks give
# a neutral character its direction and reverse nothing.
SHAPING = frozenset("\u200c\u200d\u200e\u200f\u061c")
# Control, format, half a surrogate, private use, separators of lines and paragraphs.
REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
LINE_BREAK = "\n"
MAX_LINES = 15  # as many can be read in the smallest frame beside a logo


def problem(text: str) -> str | None:
    """Return what is wrong with a text, as the rest of a sentence, or None.

    Refused is what is not seen and changes what is: control characters but line breaks, and the
    characters that reverse the direction of text (Unicode Bidi_Control, UAX 9), with which a text
    reads otherwise than it is written. Whether a font has the rest is not known here.
    """
    for character in text:
        if character in SHAPING or character == LINE_BREAK:
            continue
        if unicodedata.category(character) in REFUSED or _is_noncharacter(character):
            return f"has the character U+{ord(character):04X}, which cannot be drawn"
    count = text.count(LINE_BREAK) + 1
    if count > MAX_LINES:
        return f"has {count} lines; at most {MAX_LINES} fit"
    return None if text.strip() else "is blank"


def _is_noncharacter(character: str) -> bool:
    """Whether Unicode assigns it never. Source: https://www.unicode.org/faq/private_use.html"""
    return ord(character) & 0xFFFE == 0xFFFE or "\ufdd0" <= character <= "\ufdef"
