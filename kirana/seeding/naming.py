"""Makes names that a customer can read out of departments, commodities and sizes as a till prints them."""

from __future__ import annotations

import re
from functools import lru_cache

from kirana.seeding.abbreviations import MEANINGS, UNITS

TILL_WIDTH = 30
"""The data set cuts product types at this many characters, often within a word."""

_LONGEST_NAME = 200
_CONNECTORS = {
    "",
    "-",
    "&",
    "/",
    "W/",
    "W",
    "AND",
    "WITH",
    "OR",
    "OF",
    "NO",
    "NOT",
    "(",
    ",",
    ":",
    "EX",
    "UN",
    "UNDER",
    "OVER",
}
_SHORTEST_WORD = 3
_SHORTEST_PLURAL = 5
_SAY_LITTLE = frozenset(
    {
        "ACTIVITY", "ALMAY", "ASCEPTIC", "ASSORTED", "BARBIE", "BARGAIN", "BOXED", "CALGON", "COLLEGIATE", "CONTINUITY",
        "COOKED", "COVERGIRL", "DRY", "ECONOMY", "ENHANCED", "EXTERNAL", "FAMILY", "FLAVORED", "FRESH", "INTERNAL",
        "KIDS", "KOSHER", "LEAN", "MAINSTREAM", "MARINATED", "MAYBELLINE", "MICROWAVE", "MISC", "NATURAL", "OTHER",
        "OUTDOOR", "OVEN", "PANTRY", "PREMIUM", "PRIMAL", "PROMO", "PROMOTIONAL", "RED", "REGULAR", "REVLON",
        "SEASONAL", "SEASONED", "SELECT", "SMOKED", "SPECIALTY", "TRADITIONAL", "UTILITY", "VALUE", "CHOICE", "HEALING",
        "LOOSE",
    }
)  # fmt: skip
_WORD = re.compile(r"[A-Za-z'$]+")
_LOOSE_PLURAL = re.compile(r"\b([A-Z]{2,}) S\b")
_FRACTIONS = {"1/2", "1/3", "2/3", "1/4", "3/4", "1/8"}
_SIZE_PREFIX = re.compile(r"^(?:[A-Z]{1,3}|\d{5,6})\s+(?=[\d.])")
_PACK_OF = re.compile(r"^(\d+)\s*(?:PK|P|CT)?\s*[/-]\s*([\d.]+)\s*(OZ|Z|ML|L|LTR|LRT|LB|PT|QT|GAL)$")


def product_name(category: str, product_type: str, size: str) -> str:
    """``("FRZN BREAKFAST FOODS", "WAFFLES/PANCAKES/FRENCH TOAST", "12 OZ")`` gives ``Frozen waffles 12 oz``.

    Any part may be empty. A type that says little alone (``TRADITIONAL``) gets its category before it.
    """
    kind = _main_alternative(_repaired(product_type))
    phrase = readable(kind)
    group = readable(_repaired(category))
    if _says_little(kind) and group:
        phrase = f"{group}, {_lower_first(phrase)}" if phrase else group
    elif group.lower().startswith("frozen") and phrase and "frozen" not in phrase.lower():
        phrase = f"Frozen {_lower_first(phrase)}"
    name = " ".join(part for part in (phrase or "Assorted goods", package_size(size)) if part)
    return name[:_LONGEST_NAME]


@lru_cache(maxsize=8192)
def readable(text: str) -> str:
    """Spell abbreviations out, tidy separators, begin with a capital."""
    spelled = _WORD.sub(_meaning, _LOOSE_PLURAL.sub(r"\1'S", text))
    spelled = re.sub(r"\b[wW]/\s*", "with ", spelled)
    spelled = re.sub(r"\s*&\s*", " & ", spelled)
    spelled = re.sub(r"\s*:\s*|\s+-\s*|\s*-\s+", ", ", spelled)
    spelled = re.sub(r"\(\s*\)|\(\s*[,/]", " ", spelled)
    spelled = re.sub(r"\s+", " ", re.sub(r"\s+([,)])", r"\1", spelled)).strip(" ,/-&")
    return _upper_first(spelled)


@lru_cache(maxsize=8192)
def package_size(text: str) -> str:
    """``"6 PK/12 OZ"`` gives ``6 x 12 oz``; what is not understood is left out."""
    size = _SIZE_PREFIX.sub("", " ".join(text.upper().replace("*", "").split()))
    multiple = _PACK_OF.match(size)
    if multiple and size.split()[0] not in _FRACTIONS:
        count, each, unit = multiple.groups()
        return f"{count} x {_number(each)} {UNITS[unit]}"
    words = re.findall(r"\d+/\d+(?=\s)|[\d.]*\d|[A-Z]+|/", size)
    if not words or not all(word[0].isdigit() or word[0] in "./" or word in UNITS for word in words):
        return ""
    if not any(word in UNITS for word in words):
        return ""
    return " ".join(_number(word) if word[0].isdigit() or word[0] == "." else UNITS.get(word, word) for word in words)


def _repaired(text: str) -> str:
    """Undo what the till's width did: an open bracket, half a word at the end."""
    was_cut = len(text) >= TILL_WIDTH
    text = " ".join(text.upper().replace("-MAGAZINE", " MAGAZINE").split())
    if text.count("(") > text.count(")"):
        text = text[: text.rindex("(")].rstrip()
    elif was_cut:
        text = _without_cut_word(text)
    return text


def _without_cut_word(text: str) -> str:
    words = text.split(" ")
    while words and (words[-1] in _CONNECTORS or (len(words[-1]) < _SHORTEST_WORD and words[-1] not in MEANINGS)):
        words.pop()
    return " ".join(words)


def _main_alternative(kind: str) -> str:
    """The first of several when it can stand alone, as a plural noun can: waffles, of waffles/pancakes/toast."""
    first, slash, _ = kind.partition("/")
    stands_alone = (
        " " not in first and len(first) >= _SHORTEST_PLURAL and first.endswith("S") and not first.endswith("SS")
    )
    return first if slash and stands_alone and "(" not in kind else kind


def _says_little(kind: str) -> bool:
    return all(word in _SAY_LITTLE for word in re.findall(r"[A-Z]+", kind))


def _meaning(match: re.Match[str]) -> str:
    word = match.group().upper()
    return MEANINGS.get(word, word.lower())


def _number(text: str) -> str:
    if "/" in text or "." not in text:
        return text
    whole, _, part = text.partition(".")
    part = part.rstrip("0")
    return f"{whole or '0'}.{part}" if part else whole or "0"


def _upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower_first(text: str) -> str:
    first = text.split(" ", maxsplit=1)[0].rstrip(",")
    return text if first.upper() in MEANINGS and MEANINGS[first.upper()][:1].isupper() else text[:1].lower() + text[1:]
