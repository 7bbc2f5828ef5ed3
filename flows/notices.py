"""`ebm notify`: a Prefect automation that posts to an address when a scheduled run fails.

The server is the one that PREFECT_API_URL names, as for a work pool; else that of `ebm serve`. Who
knows the address of a chat's webhook can post to it, so Prefect keeps it as a secret: encrypted in
its database, and shown by no page.
"""

import os
from contextlib import suppress
from typing import Any

from flows.environment import prepare_environment, variables
from flows.gate import HOST
from flows.locks import holder
from flows.serving import served
from tasks.paths import Paths

NAME = "ebm-failed"
EVENTS = {"prefect.flow-run.Failed", "prefect.flow-run.Crashed"}


def notify(paths: Paths, address: str) -> str:
    """Have what failed, and why, posted to an address from now on; return the server that does it.

    What is posted is JSON, {"text": "..."}, which most chats take as it is.

    Raises:
        ValueError: it is no address of the web.
        RuntimeError: no schedule is served here, and no server is named.
    """
    if not address.startswith(("https://", "http://")):
        raise ValueError(f"{address} is no address; write https://chat.example.org/hooks/mine")
    server = server_of(paths)
    prepare_environment(paths.root)
    with variables({"PREFECT_API_URL": server}):
        post_failures(address)
    return server


def server_of(paths: Paths) -> str:
    """Return the address of the server that knows of scheduled runs.

    Raises:
        RuntimeError: there is none.
    """
    if named := os.environ.get("PREFECT_API_URL"):
        return named
    if holder(paths.work / "serve.lock") is None:
        raise RuntimeError(
            "no schedule is served here; start ebm serve first, in another terminal, or name the "
            "server of a work pool in PREFECT_API_URL"
        )
    _, port = served(paths)
    return f"http://{HOST}:{port}/api"


def post_failures(address: str) -> None:
    """Have the server that Prefect is told of post failures, in place of an earlier address."""
    from prefect.automations import Automation
    from prefect.blocks.notifications import CustomWebhookNotificationBlock
    from prefect.events.actions import SendNotification
    from prefect.events.schemas.automations import EventTrigger, Posture

    kind: Any = CustomWebhookNotificationBlock  # mypy does not know that a dict becomes secrets
    block = kind(
        name=NAME,
        url="{{address}}",
        secrets={"address": address},
        headers={},
        cookies={},
        json_data={"text": "{{subject}}: {{body}}"},
        allow_private_urls=True,  # a listener of one's own
    )
    send = SendNotification(
        block_document_id=block.save(NAME, overwrite=True),
        subject="{{ flow_run.parameters.name }} {{ flow_run.state.name }}",
        body="{{ flow_run.state.message }}",
    )
    trigger = EventTrigger(
        expect=EVENTS,
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related={"prefect.resource.role": "flow", "prefect.resource.name": "scheduled"},
        posture=Posture.Reactive,
        threshold=1,
    )
    made: Any = Automation  # its methods are of two kinds, awaited and not, which mypy cannot tell
    with suppress(ValueError):  # there is none yet
        made.read(name=NAME).delete()
    made(name=NAME, trigger=trigger, actions=[send]).create()
