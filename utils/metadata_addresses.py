"""Addresses where clouds hand out credentials to whoever asks from inside: nobody's URL may lead there."""

from ipaddress import IPv4Address, IPv6Address, ip_address

METADATA_ADDRESSES = frozenset({IPv6Address("fd00:ec2::254"), IPv4Address("100.100.100.200")})


def is_metadata_address(text: str) -> bool:
    """Return whether an IP address is link-local or one where a cloud hands out credentials.

    >>> is_metadata_address("169.254.169.254"), is_metadata_address("::ffff:169.254.169.254")
    (True, True)
    >>> is_metadata_address("192.168.1.7")
    False
    """
    address = ip_address(text.split("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_link_local or address in METADATA_ADDRESSES
