"""Pages that others can reach ask for a token, and say what a person must know."""

import asyncio
import base64
import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows import gate
from flows.dashboard import mlflow_page, pages, prefect_page
from tests.flows.conftest import ROOT
from tests.flows.test_dashboard import ports

KEY = "a-token-of-some-length"


async def inner(scope: gate.Scope, receive: gate.Receive, send: gate.Send) -> None:
    await send({"type": "passed on"})


def ask(
    authorization: bytes | None, kind: str = "http", app: Any = None, **more: str
) -> list[gate.Scope]:
    """Return what is answered to a request, with more headers or others."""
    answers: list[gate.Scope] = []

    async def send(message: gate.Scope) -> None:
        answers.append(message)

    async def receive() -> gate.Scope:
        return {}

    headers = {b"host": b"here", **{k.encode(): v.encode() for k, v in more.items()}}
    if authorization is not None:
        headers[b"authorization"] = authorization
    scope = {"type": kind, "headers": list(headers.items())}
    asyncio.run((app or gate.Gate(inner, token=KEY))(scope, receive, send))
    return answers


def basic(password: str, user: str = "me") -> bytes:
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("user", ["me", "", "ebm"])
def test_who_brings_the_token_is_let_in(kind: str, user: str) -> None:
    assert ask(basic(KEY, user), kind) == [{"type": "passed on"}]
    assert ask(basic(KEY, user).replace(b"Basic", b"basic"), kind) == [{"type": "passed on"}]


BARE = KEY.encode()
WRONG = [None, b"", b"Basic", b"Basic !!", basic(""), basic(KEY[:-1]), basic(KEY + "x"), BARE]
WRONG += [b"Bearer " + BARE, b"Basic " + BARE, basic(KEY).replace(b"Basic", b"Digest")]


@pytest.mark.parametrize("wrong", WRONG)
def test_nobody_else_is(wrong: bytes | None) -> None:
    start, body = ask(wrong)
    assert start["status"] == 401
    assert dict(start["headers"])[b"www-authenticate"].startswith(b"Basic")
    assert KEY.encode() not in body["body"]
    assert ask(wrong, "websocket") == [{"type": "websocket.close", "code": 1008}]


@given(st.binary(max_size=40))
def test_no_header_breaks_the_gate(header: bytes) -> None:
    assert ask(b"Basic " + header)[0].get("status") == 401


def test_a_server_may_start_and_end() -> None:
    async def pass_on() -> None:
        await gate.Gate(inner, token=KEY)({"type": "lifespan"}, None, said)  # type: ignore[arg-type]

    async def said(message: gate.Scope) -> None:
        heard.append(message)

    heard: list[gate.Scope] = []
    asyncio.run(pass_on())
    assert heard == [{"type": "passed on"}]


OWN = gate.Gate(inner, gate.homes("127.0.0.1", 4200))


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("home", ["127.0.0.1:4200", "localhost:4200", "LOCALHOST:4200"])
def test_programs_and_its_own_page_may_ask(kind: str, home: str) -> None:
    assert ask(None, kind, OWN, host=home) == [{"type": "passed on"}]
    assert ask(None, kind, OWN, host=home, origin=f"http://{home}") == [{"type": "passed on"}]


OTHERS = ["https://evil.example", "null", "http://127.0.0.1:4201", "http://127.0.0.1", ""]
OTHERS += ["https://127.0.0.1:4200", "http://127.0.0.1:4200.evil.example", "file://"]


@pytest.mark.parametrize("origin", OTHERS)
def test_no_other_page_may(origin: str) -> None:
    start, _ = ask(None, "http", OWN, host="127.0.0.1:4200", origin=origin)
    assert start["status"] == 403
    [closed] = ask(None, "websocket", OWN, host="127.0.0.1:4200", origin=origin)
    assert closed["type"] == "websocket.close"


@pytest.mark.parametrize("name", ["evil.example:4200", "127.0.0.1:4201", "127.0.0.1", "", "é:4200"])
def test_a_strangers_name_that_leads_here_is_refused(name: str) -> None:
    start, _ = ask(None, "http", OWN, host=name)
    assert start["status"] == 403


def test_a_browser_leaves_out_port_80_and_writes_names_small() -> None:
    assert gate.homes("MyBox", 80) == {"mybox:80", "mybox"}
    assert gate.homes("MyBox", 5000) == {"mybox:5000"}


@pytest.mark.parametrize("token", ["short", "x" * 19, "é" * 30])
def test_a_token_that_can_be_guessed_is_refused(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="at least 20"):
        gate.Gate(inner, token=token)
    monkeypatch.setenv(gate.TOKEN, token)
    with pytest.raises(ValueError, match=f"{gate.TOKEN} has {len(token)} characters"):
        gate.token_for("192.0.2.7")


def test_mlflows_page_behind_the_token_does_not_start_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.server.fastapi_app", SimpleNamespace(app=inner))
    monkeypatch.delenv(gate.TOKEN, raising=False)
    with pytest.raises(ValueError, match="at least 20"):
        gate.mlflow()


def test_this_machine_alone_needs_none_and_others_get_a_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(gate.TOKEN, raising=False)
    assert (gate.token_for("127.0.0.1"), gate.token_for("localhost")) == ("", "")
    first, second = gate.token_for("192.0.2.7"), gate.token_for("my.machine")
    assert first != second
    assert min(len(first), len(second)) >= 32
    monkeypatch.setenv(gate.TOKEN, KEY)
    assert gate.token_for("192.0.2.7") == KEY


@pytest.mark.parametrize("host", ["0.0.0.0", "0", "0x0", "0.0", "", "::", "::1"])
def test_all_addresses_at_once_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match=f"--host {host}: name one IPv4 address"):
        gate.token_for(host)


def test_the_token_is_in_the_environment_of_the_servers_and_in_no_list_of_processes() -> None:
    for page in (mlflow_page(ROOT, 1, "192.0.2.7", KEY), prefect_page(ROOT, 2, "192.0.2.7", KEY)):
        assert page.command.count("192.0.2.7") == 1
        assert page.environment[gate.TOKEN] == KEY
        assert KEY not in " ".join(page.command) + page.address
        assert "ebm-token" in page.command or "flows.server" in page.command
    assert any(KEY in line for line in gate.warning("192.0.2.7", KEY))
    assert re.match("Warning: .*192.0.2.7", gate.warning("192.0.2.7", KEY)[0])


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ValueError, match="--host 192.0.2.7: it is no address of this machine"):
        pages(ROOT, *ports(), "192.0.2.7", KEY)
    with pytest.raises(ValueError, match="--host no.machine.invalid: no such name is known"):
        pages(ROOT, *ports(), "no.machine.invalid", KEY)
