"""A token before MLflow's page and Prefect's, where others than this machine can reach them."""

import base64
import hmac
import ipaddress
import os
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

HOST = "127.0.0.1"
TOKEN = "EBM_DASHBOARD_TOKEN"  # of the environment: no list of processes shows it
SHORTEST = 20  # characters: too many to be guessed

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gate:
    """An ASGI application that lets in who brings the token, with any user's name.

    It is asked for as a password by HTTP's Basic scheme (RFC 7617), which browsers, MLflow's
    client and Prefect's speak; it stands before every address, files and sockets among them.

    Args:
        app: what it stands before.
        token: at least 20 characters.

    Raises:
        ValueError: the token is too short.
    """

    def __init__(self, app: App, token: str) -> None:
        self.app, self.token = app, checked(token).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 401."""
        if scope["type"] == "lifespan" or hmac.compare_digest(password(scope), self.token):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            asks = [(b"www-authenticate", b'Basic realm="ebm dashboard"')]
            await send({"type": "http.response.start", "status": 401, "headers": asks})
            await send({"type": "http.response.body", "body": b"The token is missing or wrong."})


def password(scope: Scope) -> bytes:
    """Return the password that a request brings, empty if there is none."""
    for name, value in scope["headers"]:
        scheme, _, coded = value.partition(b" ")
        if name == b"authorization" and scheme.lower() == b"basic":
            try:
                return base64.b64decode(coded, validate=True).partition(b":")[2]
            except ValueError:
                return b""
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
    if host in (HOST, "localhost"):
        return ""
    try:
        everywhere = ipaddress.ip_address(host).is_unspecified
    except ValueError:  # a name
        everywhere = False
    if everywhere or ":" in host:
        raise ValueError(
            f"--host {host}: name one IPv4 address or name of this machine, by which others reach "
            "it; the pages' own links need it"
        )
    return checked(os.environ.get(TOKEN) or secrets.token_urlsafe(24))


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

    return Gate(app, os.environ.get(TOKEN, ""))


def prefect() -> Gate:
    """Return Prefect's page and server behind the token."""
    from prefect.server.api.server import create_app

    return Gate(create_app(), os.environ.get(TOKEN, ""))
