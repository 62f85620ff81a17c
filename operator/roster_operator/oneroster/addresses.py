"""Which addresses a source may live at.

A connection's endpoint is a tenant's to choose, so it must not reach the cluster, the node or a
cloud's metadata service. Names are judged after resolution, every answer, and the connection goes
to the judged address: what a name resolves to a moment later does not matter.

`ipaddress.is_global` alone is not enough: it calls global what embeds a private IPv4 address
(NAT64, 6to4), site-local IPv6, multicast, and a cloud's wire server at 168.63.129.16.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(item) for item in text.split())


_DENIED = _networks(
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 "
    "168.63.129.16/32 "
    "::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 "
    "fc00::/7 fe80::/10 fec0::/10 ff00::/8"
)
# Metadata services hand out a node's credentials: a range that happens to hold one does not open it.
_METADATA = frozenset(
    ip_address(item)
    for item in [
        "169.254.169.254",
        "169.254.169.253",
        "169.254.170.2",
        "169.254.170.23",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    ]
)
_GLOBAL_V6 = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")


def plain(address: Address) -> Address:
    """The address that is really reached: an IPv4 address written as IPv6 (mapped, NAT64) is itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def permitted(address: Address, allow: Sequence[Network] = (), deny: Sequence[Network] = ()) -> bool:
    """Whether a source may live at an address.

    allow: what the operator opens beyond public addresses. deny: what it closes besides (the
    cluster's own ranges); deny beats allow. A metadata service needs its very address in allow.
    """
    target = plain(address)
    if _within(target, deny) or _within(address, deny):
        return False
    if target in _METADATA:
        return any(network.num_addresses == 1 and target in network for network in _same(target, allow))
    if _within(target, allow) or _within(address, allow):
        return True
    if _within(target, _DENIED):
        return False
    return isinstance(target, IPv4Address) or target in _GLOBAL_V6


def _same(address: Address, networks: Sequence[Network]) -> list[Network]:
    return [network for network in networks if network.version == address.version]


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in _same(address, networks))
