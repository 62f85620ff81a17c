"""Mail through one SMTP server: settings, a message, and what became of it for each recipient.

This room knows no cluster, no database and no roster. The operator sends notices with it, the console invitations:

    settings = load(os.environ)                   # None where no mail server is configured
    delivery = await send(settings, Message(to=("it@example.org",), subject="…", text="…"))

Nothing that it raises or returns quotes the server: its answers name addresses.
"""

from .errors import MailError, Reason
from .message import Message
from .sending import Delivery, Refusal, send
from .settings import MailSettings, Security, load

__all__ = ["Delivery", "MailError", "MailSettings", "Message", "Reason", "Refusal", "Security", "load", "send"]
