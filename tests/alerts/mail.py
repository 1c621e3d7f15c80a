"""Mail servers: one that asks for STARTTLS and a password, one that is encrypted from the first byte, one without both."""

import email
import email.policy
import logging
import socket
import threading
import warnings

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

# What clients do wrong on purpose.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)
warnings.simplefilter("ignore")

RECEIVED = []
LOCK = threading.Lock()
USER, PASSWORD = b"evidenced", b"correct horse battery"


class Store:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone@"):
            return "550 5.1.1 no such user"
        if address.startswith("later@"):
            return "450 4.2.1 greylisted, try again in 5 minutes"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        part = lambda kind: message.get_body((kind,)).get_content().replace("\r\n", "\n")
        with LOCK:
            RECEIVED.append({
                "encrypted": server.transport.get_extra_info("sslcontext") is not None,
                "user": session.auth_data.login.decode() if session.authenticated else None,
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "headers": {name.lower(): str(value) for name, value in message.items()},
                "type": message.get_content_type(),
                "plain": part("plain"),
                "html": part("html"),
                "defects": [repr(defect) for part in message.walk() for defect in part.defects],
            })
        return "250 2.0.0 taken as 4711"


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER, PASSWORD)
    return AuthResult(success=right, handled=right, auth_data=data)


class Silent:
    """Takes connections and says nothing."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.taken = []
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        while True:
            self.taken.append(self.listening.accept())


def start(tls=None, **options):
    controller = Controller(Store(), hostname="127.0.0.1", port=free(), ssl_context=tls, **options)
    controller.start()
    return controller.port


def free():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def serve(context):
    asked = {"authenticator": authenticate, "auth_required": True}
    return {
        "smtp": start(tls_context=context, require_starttls=True, **asked),
        "smtps": start(tls=context, auth_require_tls=False, **asked),
        "smtp_plain": start(),
        "smtp_silent": Silent().listening.getsockname()[1],
        "user": USER.decode(),
        "password": PASSWORD.decode(),
    }
