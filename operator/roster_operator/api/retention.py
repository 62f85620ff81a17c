"""How long data is kept that no sync shows any more."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .model import Model

Days = Annotated[int, Field(ge=1, le=36500)]


class Retention(Model):
    """Applied every night by `roster reap`; each stage tells the database."""

    remove_after_days: Days = Field(
        default=120, description="Days after which a deactivated record of the SIS is deleted. Manual ones never are."
    )
    history_days: Days = Field(
        default=400, description="Days for which the old values of changed records are kept, and syncs without a merge."
    )
