"""Which IP addresses are on the public internet. Pure."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# Listed here, because `is_global` differs between releases of Python.
_NOT_PUBLIC: Final[tuple[Network, ...]] = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT, and services inside many clouds
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's platform services, at a public-looking address
            "169.254.0.0/16",  # link-local: cloud metadata services
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",  # multicast, reserved, broadcast
            "2001::/23",  # IETF protocol assignments: Teredo, ORCHID and others
            "2001:db8::/32",
            "2002::/16",  # 6to4: embeds an IPv4 address
            "3fff::/20",
            "5f00::/16",
        ),
    )
)
# Global unicast. Excludes loopback, IPv4-mapped and -compatible, NAT64, unique local, site-local,
# link-local and multicast addresses.
_UNICAST: Final = IPv6Network("2000::/3")


def is_public(address: Address) -> bool:
    """Whether the address is public and does not embed an address that is not."""
    if address.version == 6 and address not in _UNICAST:
        return False
    return address.is_global and not any(address in network for network in _NOT_PUBLIC)
