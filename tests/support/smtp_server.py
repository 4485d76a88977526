#!/usr/bin/env python3
"""A mail server for tests: takes mail over SMTP, keeps it as files, and misbehaves when told to.

It runs as a process of its own, so that a test meets a real server over a real socket. Everything is in the directory
given as the only argument:

    mail/000001.eml   a mail as it arrived, written whole or not at all
    mail/000001.json  its envelope (sender, recipients, whether TLS was on, who had logged in), and its subject, text
                      and HTML as Python's own parser reads them
    ca.pem            the certificate to trust, made afresh at every start
    connections       one line for each connection that was opened
    control           how to misbehave; read again before every answer, no file means: take everything

Each line of `control` is a command and what to do instead of taking it:

    rcpt 550 5.1.1 no such mailbox   answer that (greeting, ehlo, starttls, auth, mail, rcpt, data, message)
    rcpt<a@example.org> 450 later    the same for one recipient
    mail hangup                      close the connection
    data silent                      never answer
    message drop                     keep the mail, then close the connection without an answer
    message echo                     refuse the mail for now and quote it, as some filters do

`message` is the end of the mail, after DATA was taken. The first line of standard output is `port NUMBER`. The server
ends when its standard input does, so it cannot outlive the test that started it.
"""

import argparse
import asyncio
import email
import email.policy
import json
import logging
import os
import ssl
import subprocess
import sys
import warnings
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult


class Hangup(ConnectionResetError):
    """The connection was closed on purpose."""


class Server(SMTP):
    """aiosmtpd, asking the control file before every answer."""

    def __init__(self, handler, directory, **options):
        self.directory = directory
        super().__init__(handler, **options)

    def connection_made(self, transport):
        # STARTTLS makes the connection a second time.
        if self.transport is None:
            with (self.directory / "connections").open("a") as file:
                file.write("opened\n")
        super().connection_made(transport)

    async def misbehaves(self, command):
        """True if the command was answered already."""
        for line in read_lines(self.directory / "control"):
            word, _, action = line.partition(" ")
            if word != command:
                continue
            if action == "silent":
                await asyncio.Event().wait()
            if action in ("hangup", "drop"):
                self.transport.abort()
                raise Hangup
            await self.push(action)
            return True
        return False

    async def push(self, status):
        if isinstance(status, str) and status == f"220 {self.hostname} {self.__ident__}":
            # The greeting is the one answer without a command.
            for line in read_lines(self.directory / "control"):
                word, _, action = line.partition(" ")
                if word == "greeting":
                    status = action
        await super().push(status)

    async def smtp_EHLO(self, hostname):
        if not await self.misbehaves("ehlo"):
            await super().smtp_EHLO(hostname)

    async def smtp_STARTTLS(self, arg):
        if not await self.misbehaves("starttls"):
            await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg):
        if not await self.misbehaves("auth"):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg):
        if not await self.misbehaves("mail"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg):
        to = arg.removeprefix("TO:").split(" ")[0]
        if not await self.misbehaves("rcpt") and not await self.misbehaves(f"rcpt{to}"):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg):
        if not await self.misbehaves("data"):
            await super().smtp_DATA(arg)


class Keeper:
    """Writes every mail that was taken to a file."""

    def __init__(self, directory):
        self.directory = directory
        # A server that was started again goes on counting.
        self.taken = len(list((directory / "mail").glob("*.eml")))

    async def handle_DATA(self, server, session, envelope):
        control = dict(line.partition(" ")[::2] for line in read_lines(self.directory / "control"))
        action = control.get("message")
        if action is None or action == "drop":
            self.keep(server, session, envelope)
        if action is None:
            return "250 2.0.0 taken"
        if action in ("hangup", "drop"):
            server.transport.abort()
            raise Hangup
        if action == "silent":
            await asyncio.Event().wait()
        if action == "echo":
            content = envelope.original_content or envelope.content
            content = content if isinstance(content, bytes) else content.encode()
            return "451 4.7.1 refused: " + " ".join(content.decode(errors="replace").split())[:900]
        return action

    def keep(self, server, session, envelope):
        self.taken += 1
        stem = self.directory / "mail" / f"{self.taken:06}"
        content = envelope.original_content or envelope.content
        content = content if isinstance(content, bytes) else content.encode()
        mail = email.message_from_bytes(content, policy=email.policy.default)
        facts = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": server.transport.get_extra_info("sslcontext") is not None,
            "login": session.auth_data.login.decode() if session.auth_data else None,
            "subject": mail["Subject"],
            "text": body(mail, "plain"),
            "html": body(mail, "html"),
        }
        stem.with_suffix(".json").write_text(json.dumps(facts))
        partial = stem.with_suffix(".part")
        partial.write_bytes(content)
        partial.rename(stem.with_suffix(".eml"))


def body(mail, kind):
    part = mail.get_body((kind,))
    return part.get_content().replace("\r\n", "\n") if part else None


def read_lines(path):
    try:
        return [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except FileNotFoundError:
        return []


def make_certificates(directory):
    """An authority and a certificate for the loopback names, good for a day."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "1", "-subj", "/CN=test authority")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (directory / "server.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl(
        "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "1",
        "-days", "1", "-extfile", "server.ext", "-out", "server.pem",
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem", directory / "server.key")
    return context


async def serve(arguments):
    directory = arguments.directory
    (directory / "mail").mkdir(parents=True, exist_ok=True)
    context = None if arguments.security == "none" else make_certificates(directory)
    keeper = Keeper(directory)

    def authenticator(server, session, envelope, mechanism, data):
        user, _, password = arguments.login.partition(":")
        good = data.login == user.encode() and data.password == password.encode()
        return AuthResult(success=good, handled=False, auth_data=data)

    def connection():
        options = {"hostname": "mail.test", "loop": asyncio.get_running_loop()}
        options["enable_SMTPUTF8"] = not arguments.ascii_only
        if arguments.security == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        if arguments.login:
            options |= {"authenticator": authenticator, "auth_required": True, "auth_require_tls": False}
        return Server(keeper, directory, **options)

    wrapped = context if arguments.security == "tls" else None
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", arguments.port, ssl=wrapped)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    # Connections that were told to stay silent would keep the loop alive.
    os._exit(0)


def main():
    # aiosmtpd warns about the log-in without encryption that some tests ask for.
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description="a mail server for tests")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--security", choices=["none", "starttls", "tls"], default="none")
    parser.add_argument("--login", metavar="USER:PASSWORD", help="ask for this log-in")
    parser.add_argument("--ascii-only", action="store_true", help="do not offer SMTPUTF8")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
