"""
Certificates for servers on the loopback interface, signed by an authority made on the spot.
"""

from __future__ import annotations

import ssl


def loopback_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """
    Return a context for a server on 127.0.0.1 or localhost, and one for clients to trust it.

    Raises:
        ModuleNotFoundError: `trustme` is missing; it comes with the extra `testing`.
    """
    import trustme  # noqa: PLC0415  plain servers do without

    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
