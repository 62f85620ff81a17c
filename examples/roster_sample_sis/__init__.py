"""A school district that does not exist, and a OneRoster server that speaks for it.

    with SampleSIS(generate(7, 2000), client_id="id", client_secret="secret") as sis:
        sis.endpoint("1.2"), sis.token_url

Used by the demo, the tests and the benchmarks; depends on nothing of the operator's.
"""

from roster_sample_sis.districts import District, Role, Status
from roster_sample_sis.faults import Fault, Faults
from roster_sample_sis.generators import generate
from roster_sample_sis.renderings import Rendering, Version
from roster_sample_sis.servers import SampleSIS, Stats
from roster_sample_sis.tokens import TokenAuth

__all__ = [
    "District",
    "Fault",
    "Faults",
    "Rendering",
    "Role",
    "SampleSIS",
    "Stats",
    "Status",
    "TokenAuth",
    "Version",
    "generate",
]
