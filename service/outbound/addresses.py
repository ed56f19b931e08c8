"""Which addresses belong to everybody. Pure."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# Written out, because what `is_global` knows depends on the release of Python.
_CLOSED: Final[tuple[Network, ...]] = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # carriers' NAT, and many clouds' own services
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's own services, at an address that looks like anybody's
            "169.254.0.0/16",  # link-local: clouds' metadata
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",  # multicast, reserved, broadcast
            "2001::/23",  # Teredo, ORCHID and other protocols' own
            "2001:db8::/32",
            "2002::/16",  # 6to4: an IPv4 address within
            "3fff::/20",
            "5f00::/16",
        ),
    )
)
# All that is handed out. So ::1, mapped, compatible, NAT64, unique local, site local, link-local
# and multicast addresses are out in one go.
_UNICAST: Final = IPv6Network("2000::/3")


def is_public(address: Address) -> bool:
    """Whether this is an address on the open internet, and no wrapping of one that is not."""
    if address.version == 6 and address not in _UNICAST:
        return False
    return address.is_global and not any(address in network for network in _CLOSED)
