"""A log that names no address.

Who knows the address of a chat's webhook can post to it, so Prefect keeps it as a secret
(`flows.notices`). Where the chat refuses a post, though, httpx names the address in its error,
which Prefect's server writes to its log.
"""

import logging
import re
import traceback
from typing import Any

ADDRESS = re.compile(r"https?://\S+|(?<=Redirect location: ).*")  # the second may be a path


def discreet(*facts: Any, **more: Any) -> logging.LogRecord:
    """Return a record for a log, the addresses in its error hidden; `logging` calls this."""
    record = logging.LogRecord(*facts, **more)
    if record.exc_info and record.exc_info[0]:
        record.exc_text = hidden("".join(traceback.format_exception(*record.exc_info)).rstrip())
    return record


def hidden(text: str) -> str:
    """Return a text without its addresses of the web.

    >>> hidden("Client error '404 Not Found' for url 'https://chat.example.org/hooks/mine'")
    "Client error '404 Not Found' for url 'https://***"
    >>> hidden("Redirect location: '/hooks/mine/'")
    'Redirect location: ***'
    """
    return ADDRESS.sub(lambda found: "https://***" if found[0].startswith("http") else "***", text)


def keep_discreet() -> None:
    """Have this process's logs name no address."""
    logging.setLogRecordFactory(discreet)
    for name in ("httpx", "httpcore"):  # they tell each request where logs are detailed
        logging.getLogger(name).setLevel(logging.WARNING)
