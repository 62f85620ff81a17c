"""Names, ids and addresses that are not what they seem: kept as they came, and told.

Only text beyond ASCII is looked at. Scripts come from the names of Unicode's own database. The package
confusable-homoglyphs knows more pairs of letters; loading it took 0.4 s and 18 MB, and it knows neither full-width
letters nor the Kelvin sign.
"""

import functools
import re
import unicodedata

from .choices import NAMES
from .entities import Entity
from .problems import Problem
from .records import Record

BIDI, ZERO_WIDTH, LOOKALIKE = "BidiControl", "ZeroWidth", "LookalikeLetters"

# What nearly every name beyond ASCII is: Latin letters with marks, and the quotes and dashes of print.
_HARMLESS = re.compile("[\\x20-\\x7e\\xa1-\\xa9\\xab-\\xac\\xae-\\u024f\\u1e00-\\u1eff\\u0300-\\u036f\\u2010-\\u201f]*")
_BIDI = re.compile("[\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]")
# Joiners are spelling in Arabic and Indic scripts and in emoji: there they follow a letter from beyond U+0590.
_ZERO_WIDTH = re.compile(
    "[\\xad\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b\\u2060-\\u2064\\u206a-\\u206f\\u3164\\ufeff\\uffa0"
    "\\U000e0000-\\U000e007f]|(?<![\\u0590-\\u1fff\\u2190-\\ud7ff\\U00010000-\\U0001ffff])[\\u200c\\u200d]"
)
_WORD = re.compile("(?:[^\\W\\d_]|[\\u0300-\\u036f])+")
_NEVER_MIXED = frozenset({"CYRILLIC", "ARMENIAN", "CHEROKEE"})
# Letters of other alphabets that look like one of ASCII: Cyrillic, Greek, Armenian.
_LOOKALIKES = frozenset(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u0410\u0412\u0415\u0405\u0406"
    "\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u04ae\u050c\u051a\u051c\u0474\u0391\u0392\u0395\u0396"
    "\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03f9\u03bf\u03f2\u03bd\u03c1\u03c5\u03b9\u03ba\u03b1"
    "\u0585\u057d\u0578\u0581\u053c\u0555\u054d"
)

# Of each entity, by name of the record's field, the fields that people and programs know something by; and whether
# that is an id or an address, in which no letter but those of ASCII is taken for what it looks like.
_IDS = frozenset({"sourced_id", "identifier", "username", "user_master_identifier", "email", "user_ids"})
_TEXTS = frozenset(
    {"name", "title", "given_name", "family_name", "middle_name", "preferred_given_name", "preferred_middle_name",
     "preferred_family_name"}
)  # fmt: skip
FIELDS: dict[Entity, tuple[tuple[str, str, bool], ...]] = {
    entity: tuple((name, names[0], name in _IDS) for name, names in fields.items() if name in _IDS | _TEXTS)
    for entity, fields in NAMES.items()
}


def deceptive(text: str, *, is_id: bool) -> list[str]:
    """The codes of what such a text may deceive by."""
    if not is_id and _HARMLESS.fullmatch(text):
        return []
    found: list[str] = []
    if _BIDI.search(text):
        found.append(BIDI)
    if _ZERO_WIDTH.search(text):
        found.append(ZERO_WIDTH)
    plain = _ZERO_WIDTH.sub("", _BIDI.sub("", text))
    if any(_looks_like_another(word, is_id=is_id) for word in _WORD.findall(plain)):
        found.append(LOOKALIKE)
    return found


def problems_of(entity: Entity, record: Record) -> tuple[Problem, ...]:
    """What is deceptive about a record, field by field."""
    found: list[Problem] = []
    for attribute, name, is_id in FIELDS[entity]:
        value = getattr(record, attribute)
        texts = [each["identifier"] for each in value] if attribute == "user_ids" else [value]
        for text in texts:
            if text is not None and not text.isascii():
                found += [Problem(code, "warning", name) for code in deceptive(text, is_id=is_id)]
    return tuple(dict.fromkeys(found))


def _looks_like_another(word: str, *, is_id: bool) -> bool:
    if word.isascii():
        return False
    letters = [letter for letter in word if letter.isalpha()]
    latin = any(_script(letter) == "LATIN" for letter in letters)
    if latin or is_id:
        if any(_dressed(letter, is_id=is_id) for letter in letters):
            return True
        if latin and any(_script(letter) in _NEVER_MIXED or letter in _LOOKALIKES for letter in letters):
            return True
    return is_id and bool(letters) and _LOOKALIKES.issuperset(letters)


@functools.lru_cache(maxsize=8192)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


@functools.lru_cache(maxsize=8192)
def _dressed(letter: str, *, is_id: bool) -> bool:
    """Whether it is a letter of ASCII in another dress: full-width, mathematical, the Kelvin sign. Ordinals such as
    the one of "1a" in Spanish are only odd in an id."""
    if letter.isascii():
        return False
    kind = unicodedata.decomposition(letter).partition(">")[0]
    return (is_id or kind not in ("<super", "<sub", "<compat")) and unicodedata.normalize("NFKC", letter).isascii()
