"""What a masked value looks like. A source that withholds a field writes `T***` or `****`: no change of name."""

import re

_RUN = re.compile(r"\*{2}")


def is_masked(text: str) -> bool:
    """Whether a value of a person's field was masked by its source.

    A registrar's footnote (`Smith*`, `Wu**`) is none: stars have to outweigh what is left of the value. Of an e-mail
    address the part before the @ decides.
    """
    if _RUN.search(text) is None:
        return False
    text = text.split("@", 1)[0]
    stars = text.count("*")
    shown = sum(1 for character in text if character.isalnum())
    return 2 * shown <= stars or (stars >= 3 and shown < stars)
