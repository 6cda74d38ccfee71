"""Say who is at the other end of a request. What a proxy says is believed only if FORWARDED_ALLOW_IPS names it."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest, HttpResponse

# Whoever comes from elsewhere may have written these.
OF_PROXIES = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
)


def behind_proxies(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Let, as the first middleware, REMOTE_ADDR be the client's address; forget what untrusted peers have forwarded.

    https comes from X-Forwarded-Proto by SECURE_PROXY_SSL_HEADER, which is safe once a stranger's is gone.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        peer = request.META.get("REMOTE_ADDR", "")
        if is_trusted(peer):
            request.META["REMOTE_ADDR"] = client_of(peer, request.META.get("HTTP_X_FORWARDED_FOR", ""))
        else:
            for name in OF_PROXIES:
                request.META.pop(name, None)
        return get_response(request)

    return middleware


def network(request: HttpRequest) -> str:
    """Return by what the client is counted: its IPv4 address, or its IPv6 network of 64 bits, as one customer has."""
    address = parsed(request.META.get("REMOTE_ADDR", ""))
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address or "")


def client_of(peer: str, forwarded: str) -> str:
    """Return the last address of X-Forwarded-For that is no trusted proxy's: anybody may have sent those before it."""
    client = peer
    for part in reversed(forwarded.split(",")):
        address = parsed(part)
        if address is None:
            break
        client = str(address)
        if settings.FORWARDED_ALLOW_IPS == ["*"] or not is_trusted(client):
            break
    return client


def is_trusted(address: str) -> bool:
    if settings.FORWARDED_ALLOW_IPS == ["*"]:
        return True
    found = parsed(address)
    return found is not None and any(found in ip_network(proxy, strict=False) for proxy in settings.FORWARDED_ALLOW_IPS)


def parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address in the text, which may have a port behind it; None if there is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
