"""An address that mail is sent to, as configuration and requests may have it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

# One mailbox in ASCII, without display name, quotes, spaces or line ends: nothing in it begins another header, another
# command, or an option of the mail server. RE2 and Python's re read it alike.
ADDRESS = r"^[A-Za-z0-9_'][A-Za-z0-9._%+'-]{0,63}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?[.])*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"  # noqa: E501
Address = Annotated[str, Field(min_length=3, max_length=254, pattern=ADDRESS)]
