"""An event as a mail: a subject that says it all, plain text, and the same as simple HTML."""

from __future__ import annotations

import html
from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from flows.notify.event import Event, plain
from flows.notify.targets import Mailbox

SUBJECT_AT_MOST = 120
STYLE = "font:14px sans-serif;border-collapse:collapse"
CELL = "padding:2px 12px 2px 0;vertical-align:top;text-align:left"


def make_letter(event: Event, target: Mailbox) -> EmailMessage:
    """The message, the same for every try. No text of the event can add a header or markup."""
    letter = EmailMessage()
    letter["From"] = target.sender
    letter["To"] = ", ".join(target.to)
    letter["Subject"] = plain(f"[douga] {event.text}", at_most=SUBJECT_AT_MOST)
    letter["Date"] = format_datetime(datetime.fromisoformat(event.at))
    # The sender's domain, not this machine's name; the event's id: the same mail at every try.
    letter["Message-ID"] = f"<{event.id}@{target.sender.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office comes back
    letter.set_content(_whole(_text(event)))
    letter.add_alternative(_whole(_page(event)), subtype="html")
    return letter


def _whole(text: str) -> str:
    """Text that can be sent: file names may hold halves of letters."""
    return text.encode("utf-8", "replace").decode()


def _facts(event: Event) -> Iterator[tuple[str, str]]:
    named = {
        "run": event.run,
        "film": event.film,
        "store": event.store,
        "report": event.report,
        "Prefect": event.prefect,
        "do it again": event.command,
    }
    yield from ((name, value) for name, value in named.items() if value)
    yield from ((name, str(count)) for name, count in event.counts)


def _lists(event: Event) -> Iterator[tuple[str, list[str]]]:
    """What is named one by one, under its heading."""
    failed = [
        f"{shot.episode}/{shot.shot}"
        + (f" frame {shot.frame}" if shot.frame is not None else "")
        + f": {shot.error}"
        for shot in event.failed
    ]
    episodes = [
        f"{each.episode}: {each.state}" + (f", {each.why}" if each.why else "")
        for each in event.episodes
    ]
    yield "Episodes", episodes
    yield "Shots to look at", failed
    yield "Failed verification or regressed", list(event.findings)
    yield "Waiting for review", list(event.waiting)


def _text(event: Event) -> str:
    lines = [event.text, ""]
    for heading, entries in _lists(event):
        lines += [f"{heading}:", *(f"- {entry}" for entry in entries), ""] if entries else []
    lines += [f"{name + ':':<18}{value}" for name, value in _facts(event)]
    return "\n".join(lines) + "\n"


def _page(event: Event) -> str:
    rows = "".join(
        f'<tr><th style="{CELL}">{html.escape(name)}</th>'
        f'<td style="{CELL}">{html.escape(value)}</td></tr>\n'
        for name, value in _facts(event)
    )
    lists = "".join(
        f"<h3>{html.escape(heading)}</h3>\n<ul>\n"
        + "".join(f"<li>{html.escape(entry)}</li>\n" for entry in entries)
        + "</ul>\n"
        for heading, entries in _lists(event)
        if entries
    )
    return (
        f'<!doctype html>\n<html><body style="font:14px sans-serif">\n'
        f"<h2>{html.escape(event.text)}</h2>\n"
        f'{lists}<table style="{STYLE}">\n{rows}</table>\n</body></html>\n'
    )
