"""`python -m roster_sample_sis`: the sample SIS as a process of its own.

Prints one line when it is ready and ends on SIGTERM or SIGINT. Writes no files, except the certificate that
`--tls-ca-out` asks for, and runs under a read-only root.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import ssl
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from roster_sample_sis import certificates
from roster_sample_sis.admin import Admin
from roster_sample_sis.generators import generate
from roster_sample_sis.renderings import Version
from roster_sample_sis.servers import SampleSIS
from roster_sample_sis.variants import VARIANTS


class _Options(argparse.Namespace):
    users: int
    enrollments: int | None
    seed: int
    school_year: int
    guardians: bool
    variant: str
    version: str
    host: str
    port: int
    public_url: str
    client_id: str
    client_secret: str
    token_lifetime: float
    max_limit: int
    cache_mb: int
    gzip: bool
    warm: bool
    tls: str | None
    tls_cert: Path | None
    tls_key: Path | None
    tls_name: list[str]
    tls_ca_out: Path | None
    admin: bool


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("roster_sample_sis", description="A OneRoster server over a generated district.")
    add = parser.add_argument
    add("--users", type=int, default=2000, help="users of the district (default: %(default)s)")
    add("--enrollments", type=int, help="enrollments, exactly (default: five a student)")
    add("--seed", type=int, default=7, help="the same seed gives the same district (default: %(default)s)")
    add("--school-year", type=int, default=2027, help="the year in which the school year ends")
    add("--guardians", action="store_true", help="add guardians, out of the users")
    add("--variant", choices=list(VARIANTS), default="base", help="what became of the district")
    add("--version", choices=["1.1", "1.2", "both"], default="both", help="versions of OneRoster")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8080, help="port to listen on, 0 for any (default: %(default)s)")
    add("--public-url", default="", help="what references in records begin with (default: the address)")
    add("--client-id", default=os.environ.get("SIS_CLIENT_ID", ""), help="or in SIS_CLIENT_ID")
    add("--client-secret", default=os.environ.get("SIS_CLIENT_SECRET", ""), help="or in SIS_CLIENT_SECRET")
    add("--token-lifetime", type=float, default=3600, help="seconds (default: %(default)s)")
    add("--max-limit", type=int, default=10_000, help="records in a page at most (default: %(default)s)")
    add("--cache-mb", type=int, default=1024, help="encoded records kept in memory (default: %(default)s MB)")
    add("--no-gzip", dest="gzip", action="store_false", help="never compress")
    add("--warm", action="store_true", help="encode everything before being ready")
    add("--tls", choices=["self-signed"], help="serve HTTPS with a certificate made now")
    add("--tls-cert", type=Path, help="serve HTTPS with this certificate")
    add("--tls-key", type=Path, help="and this key")
    add("--tls-name", action="append", default=[], help="a name for the self-signed certificate, repeatable")
    add("--tls-ca-out", type=Path, help="write the self-signed certificate there")
    add("--admin", action="store_true", help="open /_admin/ to change district and faults: for tests only")
    return parser


def _tls(options: _Options, parser: argparse.ArgumentParser) -> ssl.SSLContext | None:
    if options.tls:
        context, pem = certificates.self_signed([*options.tls_name, "localhost", "127.0.0.1", "::1"])
        if options.tls_ca_out:
            options.tls_ca_out.write_text(pem)
        return context
    if options.tls_cert and options.tls_key:
        return certificates.context(options.tls_cert, options.tls_key)
    if options.tls_cert or options.tls_key:
        parser.error("--tls-cert and --tls-key go together")
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until a signal comes; 0 then. Usage errors exit with 2."""
    parser = _parser()
    options = parser.parse_args(arguments, _Options())
    if not (options.client_id and options.client_secret):
        parser.error("a client is needed: --client-id and --client-secret, or SIS_CLIENT_ID and SIS_CLIENT_SECRET")
    ended = threading.Event()

    def end(_number: int, _frame: object) -> None:
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    # Millions of small objects, none of them in a cycle: collecting would double the time.
    gc.disable()
    try:
        base = generate(
            options.seed,
            options.users,
            enrollments=options.enrollments,
            school_year=options.school_year,
            guardians=options.guardians,
        )
    except ValueError as problem:
        parser.error(str(problem))
    district = VARIANTS[options.variant](base)
    gc.freeze()
    gc.enable()
    admin = Admin(base) if options.admin else None
    sis = SampleSIS(
        district,
        tuple(Version) if options.version == "both" else (options.version,),
        client_id=options.client_id,
        client_secret=options.client_secret,
        host=options.host,
        port=options.port,
        public_url=options.public_url,
        max_limit=options.max_limit,
        token_lifetime=options.token_lifetime,
        gzip=options.gzip,
        cache_bytes=options.cache_mb << 20,
        tls=_tls(options, parser),
        extra=admin,
    )
    if admin is not None:
        admin.attach(sis)
    if options.warm:
        sis.warm()
    with sis:
        print(
            f"ready at {sis.url}: {district.district.name}, {len(district.users)} users, "
            f"{len(district.enrollments)} enrollments, OneRoster {' and '.join(sis.versions)}",
            flush=True,
        )
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
