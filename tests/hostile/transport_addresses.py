"""Transport: names that lead where no source may be, and addresses that cannot be."""

from __future__ import annotations

from tests.oneroster.fake_servers import LOOPBACK, SECRET

from roster_operator.oneroster.errors import Reason

from .cases import CANARY, Case, Refused
from .worlds import Endpoint

FAMILY = "Transport"
NAME = "https://sis.example.org"
CLOSED = Refused(Reason.ADDRESS_REFUSED)
UNSET = Refused(Reason.SETTINGS_INVALID, entity=None, page=None)

_ANSWERS = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.1.1",
    "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "168.63.129.16", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:a9fe:a9fe::", "2002:7f00:1::",
    "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "4000::1",
]  # fmt: skip

_RESOLVED = [
    Case(FAMILY, f"a name that leads to {answer}", Endpoint("https://sis.example.org", [[answer]]), CLOSED)
    for answer in _ANSWERS
]
_LITERALS = [
    Case(FAMILY, f"the address {host}", Endpoint(f"https://{host}"), CLOSED)
    for host in ["127.0.0.1", "0x7f.1", "0x7f000001", "2130706433", "127.1", "[::1]", "[::ffff:127.0.0.1]", "[::]",
                 "localhost", "127\u30020.0.1", "169.254.169.254", "[64:ff9b::a9fe:a9fe]", "0", "0x0"]
]  # fmt: skip
_LITERALS += [
    Case(FAMILY, f"the address {host}", Endpoint(f"https://{host}"), UNSET)
    for host in ["\uff11\uff12\uff17.0.0.1", "\u2460\u2461\u2466.0.0.1", "0177.0.0.1"]
]  # fmt: skip
_RESOLVERS = [
    Case(FAMILY, "one good answer and one closed", Endpoint(NAME, [["8.8.8.8", "10.0.0.1"]]), CLOSED),
    Case(FAMILY, "a closed answer in another family", Endpoint(NAME, [["8.8.8.8", "::1"]]), CLOSED),
    Case(FAMILY, "a good answer first, a closed one at the next look",
         Endpoint(NAME + ":9", [["127.0.0.1"], ["10.0.0.1"]], more={"allow_addresses": LOOPBACK}), CLOSED),
    Case(FAMILY, "a closed range that is opened too, at a metadata service",
         Endpoint(NAME, [["169.254.169.254"]], more={"allow_addresses": LOOPBACK}), CLOSED),
    Case(FAMILY, "a resolver that does not answer", Endpoint(NAME, [None], more={"retry_attempts": 1}),
         Refused(Reason.DNS_FAILED, retryable=True)),
    Case(FAMILY, "a name that does not exist", Endpoint("https://" + CANARY + ".invalid"), Refused(Reason.DNS_FAILED)),
    Case(FAMILY, "a port where nobody listens",
         Endpoint("https://127.0.0.1:1", more={"allow_addresses": LOOPBACK, "retry_attempts": 1}),
         Refused(Reason.CONNECT_FAILED, retryable=True)),
]  # fmt: skip
_SETTINGS = [
    Case(FAMILY, f"the endpoint {name}", Endpoint(value, token_url="https://sis.example.org/token"), UNSET)
    for name, value in {
        "of nothing": "",
        "of blanks": "   ",
        "without a scheme": "sis.example.org",
        "of another scheme": "ftp://sis.example.org",
        "of a script": "javascript:alert(1)",
        "of a file": "file:///etc/passwd",
        "without TLS": "http://sis.example.org",
        "without a host": "https://",
        "with a password": f"https://a:{SECRET}@sis.example.org",
        "with a fragment": f"https://sis.example.org/#{CANARY}",
        "with a query": f"https://sis.example.org/?x={CANARY}",
        "with half a bracket": "https://[x",
        "with port 99999": "https://sis.example.org:99999",
        "with port -1": "https://sis.example.org:-1",
        "with a port of letters": "https://sis.example.org:https",
        "with a blank in the host": "https://sis .example.org",
        "with a line break": "https://sis.example.org/\r\nX-Evil: " + CANARY,
        "with NUL": "https://sis.example.org/\0",
        "with an escape code": "https://sis.example.org/\x1b[2J",
        "with a percent sign in the host": "https://sis%2eexample.org",
        "with a host of 300 letters": "https://" + "a" * 300 + ".org",
        "with a zone": "https://[fe80::1%25eth0]/",
        "of 70,000 letters": "https://sis.example.org/" + "a" * 70_000,
        "with a bad IDNA label": "https://xn--zzzzzz-.example.org\u200d",
    }.items()
]

CASES = [*_RESOLVED, *_LITERALS, *_RESOLVERS, *_SETTINGS]
