"""Owns reading the mails that the local AWS has sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .launcher import Offer
from .server import mailbox_path

# What a mail offers to paste into AWS CloudShell.
_COMMAND = "aws "


@dataclass(frozen=True)
class Mail:
    """A notification; or, with a token, the mail that asks to confirm a subscription."""

    to: str
    topicArn: str
    subject: str = ""
    body: str = ""
    token: str = ""

    def commands(self) -> list[str]:
        return [line.strip() for line in self.body.splitlines() if line.strip().startswith(_COMMAND)]


def mails_to(offer: Offer, address: str) -> list[Mail]:
    """Oldest first."""
    path = mailbox_path(Path(offer.stateDir))
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [mail for mail in (Mail(**json.loads(line)) for line in lines) if mail.to == address]
