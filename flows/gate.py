"""What stands before MLflow's page and Prefect's server: who may ask, by which name, with a token.

A browser lets any page that is open ask a server of its own machine. Prefect's hinders that for
answers, but neither for sockets nor for a name of a stranger's that leads here.
"""

import base64
import hmac
import ipaddress
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any

HOST = "127.0.0.1"
OWN = (HOST, "localhost")  # what no other machine can reach
TOKEN = "EBM_DASHBOARD_TOKEN"  # of the environment: no list of processes shows it
SHORTEST = 20  # characters: too many to be guessed

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gate:
    """An ASGI application that lets in who asks by its own address, from no other page.

    A token is asked for as a password by HTTP's Basic scheme (RFC 7617), with any user's name:
    browsers, MLflow's client and Prefect's speak it. It stands before every path, and sockets.

    Args:
        app: what it stands before.
        homes: the addresses that it may be asked by, as HOST:PORT; any if empty.
        token: at least 20 characters; none is asked for if empty.

    Raises:
        ValueError: the token is too short.
    """

    def __init__(self, app: App, homes: Collection[str] = (), token: str = "") -> None:
        self.app, self.homes = app, frozenset(homes)
        self.token = checked(token).encode() if token else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or say why not."""
        wrong = None if scope["type"] == "lifespan" else self.refusal(scope)
        if wrong is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            status, text = wrong
            asks = [(b"www-authenticate", b'Basic realm="ebm dashboard"')] if status == 401 else []
            await send({"type": "http.response.start", "status": status, "headers": asks})
            await send({"type": "http.response.body", "body": text})

    def refusal(self, scope: Scope) -> tuple[int, bytes] | None:
        """Return the status and the reason of an answer to who may not ask."""
        told = dict(scope["headers"])
        if self.homes:
            if told.get(b"host", b"").decode("latin-1").lower() not in self.homes:
                return 403, b"This server is not asked by that name."
            origin = told.get(b"origin")
            if origin is not None and not self.is_home(origin.decode("latin-1")):
                return 403, b"No other page may ask this server."
        if self.token and not hmac.compare_digest(password(told), self.token):
            return 401, b"The token is missing or wrong."
        return None

    def is_home(self, origin: str) -> bool:
        """Tell whether a page is the server's own."""
        scheme, _, place = origin.lower().partition("://")
        return scheme == "http" and place in self.homes


def homes(host: str, port: int) -> set[str]:
    """Return the addresses by which a server is asked, as browsers write them."""
    names = {host.lower(), *([HOST, "localhost"] if host in OWN else [])}
    return {f"{name}:{port}" for name in names} | (names if port == 80 else set())


def password(told: Mapping[bytes, bytes]) -> bytes:
    """Return the password that a request's headers bring, empty if there is none."""
    scheme, _, coded = told.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(coded, validate=True).partition(b":")[2]
    except ValueError:
        return b""


def checked(token: str) -> str:
    """Return a token if it is long enough, and plain.

    Raises:
        ValueError: it is not.
    """
    if len(token) < SHORTEST or not token.isascii():
        raise ValueError(
            f"{TOKEN} has {len(token)} characters; it needs at least {SHORTEST} of ASCII, "
            "or leave it unset and one is made"
        )
    return token


def token_for(host: str) -> str:
    """Return the token that pages at an address ask for: that of the environment, or a new one.

    It is empty for 127.0.0.1, which this machine alone can reach.

    Raises:
        ValueError: the address is every address of the machine, or the token is too short.
    """
    if host in OWN:
        return ""
    if not leads_to_one(host):
        raise ValueError(
            f"--host {host}: name one IPv4 address or name of this machine, by which others reach "
            "it; the pages' own links need it"
        )
    return checked(os.environ.get(TOKEN) or secrets.token_urlsafe(24))


def leads_to_one(host: str) -> bool:
    """Tell whether a host is one address, as far as can be known, and not all of a machine's."""
    if not host or ":" in host:
        return False
    try:
        return not ipaddress.ip_address(socket.gethostbyname(host)).is_unspecified
    except OSError:  # no name that is known: it cannot be bound either
        return True


def warning(host: str, token: str) -> list[str]:
    """Return what a person must know before pages are opened to others."""
    return [
        f"Warning: whoever reaches {host} and has the token can see all runs and start flows.",
        "The connection is not encrypted: use this in a network that you trust (docs/security.md).",
        f"Any name, and as the password the token: {token}",
    ]


def mlflow() -> Gate:
    """Return MLflow's page behind the token; the entry point `mlflow.app` names this."""
    from mlflow.server.fastapi_app import app

    return Gate(app, token=checked(os.environ.get(TOKEN, "")))


def prefect(host: str, port: int) -> Gate:
    """Return Prefect's server, with its page, as it is asked at an address."""
    from prefect.server.api.server import create_app

    return Gate(create_app(), homes(host, port), os.environ.get(TOKEN, ""))
