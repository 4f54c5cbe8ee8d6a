"""Certificates that a client trusts, and others that it must not trust."""

from __future__ import annotations

import functools
import ssl
from datetime import UTC, datetime, timedelta
from typing import Final

import trustme

HOST: Final = "127.0.0.1"
DAY: Final = timedelta(days=1)


@functools.cache
def authority() -> trustme.CA:
    """Return the authority that clients trust."""
    return trustme.CA()


@functools.cache
def trusting() -> ssl.SSLContext:
    """Return the context of a client that trusts the authority."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


def _server(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusted() -> ssl.SSLContext:
    """Return the context of a server as it should be."""
    return _server(authority().issue_cert(HOST))


def unknown() -> ssl.SSLContext:
    """Return the context of a server whose certificate nobody knows."""
    return _server(trustme.CA().issue_cert(HOST))


def other_host() -> ssl.SSLContext:
    """Return the context of a server with the certificate of another host."""
    return _server(authority().issue_cert("other.example"))


def expired() -> ssl.SSLContext:
    """Return the context of a server whose certificate has expired."""
    now = datetime.now(UTC)
    return _server(authority().issue_cert(HOST, not_before=now - 2 * DAY, not_after=now - DAY))


def not_yet() -> ssl.SSLContext:
    """Return the context of a server whose certificate is not valid yet."""
    now = datetime.now(UTC)
    return _server(authority().issue_cert(HOST, not_before=now + DAY, not_after=now + 2 * DAY))


@functools.cache
def offering_h2() -> ssl.SSLContext:
    """Return the context of a client that offers HTTP/2 in ALPN."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def only_h2() -> ssl.SSLContext:
    """Return the context of a server that offers HTTP/2 alone."""
    context = trusted()
    context.set_alpn_protocols(["h2"])
    return context
