"""On PYTHONPATH of an operator under test: its clock is so many seconds ahead. Its monotonic one stays right."""

import os
from datetime import UTC, datetime, timedelta

import time_machine

ahead = timedelta(seconds=float(os.environ["ROSTER_TEST_CLOCK"]))
time_machine.travel(datetime.now(UTC) + ahead, tick=True).start()
