from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from wsfleet import connect
from wsfleet.errors import (
    HandshakeRejectedError,
)
from wsfleet.testing import MockServer

if TYPE_CHECKING:
    from collections.abc import MutableMapping

QUICK: dict[str, Any] = {"retry_count": 0, "close_timeout": 1.0}


async def test_secrets_are_in_no_log(
    caplog: pytest.LogCaptureFixture, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """With every logger of every library at debug, no secret of URL or headers is logged."""
    caplog.set_level(logging.DEBUG)
    async with MockServer() as server:
        caplog.clear()
        url = server.url.replace("ws://", "ws://user:s3cret1@") + "/?key=s3cret2"
        headers = {"Authorization": "Bearer s3cret3"}
        async with connect(url, headers=headers) as client:
            await client.send_message("x")
            shown = repr(client) + repr(client.config)
        server.refuse(status=403)
        with pytest.raises(HandshakeRejectedError) as caught:
            async with connect(url, headers=headers):
                pytest.fail("never connected")
        shown += repr(caught.value) + str(caught.value)
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("wsfleet.testing")]
    assert "s3cret" not in shown + repr(ours) + repr(log_entries)
