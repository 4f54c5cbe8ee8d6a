"""
The check of the protocol that a TLS handshake agreed on (ALPN, RFC 7301).
"""

from __future__ import annotations

import ssl


class AlpnError(ssl.SSLError):
    """The server chose another protocol than HTTP/1.1 during the TLS handshake."""

    def __init__(self, chosen: str) -> None:
        super().__init__(chosen)
        self.strerror = (
            f"the server chose the protocol {chosen[:20]}, and a WebSocket is opened over "
            'http/1.1: let ssl_context offer only that by set_alpn_protocols(["http/1.1"])'
        )


def check_alpn(tls: ssl.SSLObject) -> None:
    """
    Hold the server to HTTP/1.1.

    Args:
        tls: after the handshake.

    Raises:
        AlpnError: it chose another protocol, which the user's TLS context offers.
    """
    chosen = tls.selected_alpn_protocol()
    if chosen not in {None, "http/1.1"}:
        raise AlpnError(chosen or "")
