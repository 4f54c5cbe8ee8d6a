from __future__ import annotations

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsfleet._wire.frames import (
    Opcode,
    ProtocolViolation,
    close_payload,
    is_valid_received_close_code,
    parse_close,
)
from wsfleet._wire.masking import mask
from wsfleet._wire.speedups import encode


def slow_mask(payload: bytes, key: bytes) -> bytes:
    """Mask as the RFC words it."""
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


@pytest.mark.parametrize(
    "size", [0, 1, 3, 4, 5, 125, 126, 4095, 4096, 4097, 8191, 8192, 20001, 100_003]
)
def test_masking_is_what_the_rfc_says(size: int) -> None:
    """A payload of any length is masked byte by byte with the repeated key (RFC 6455, 5.3)."""
    payload = bytes(i * 7 % 256 for i in range(size))

    assert slow_mask(payload, b"\x01\x80\xff\x5a") == mask(payload, b"\x01\x80\xff\x5a")


@given(payload=st.binary(max_size=5000), key=st.binary(min_size=4, max_size=4))
def test_masking_twice_is_the_payload(payload: bytes, key: bytes) -> None:
    """Whoever masks a masked payload with its key has the payload."""
    assert payload == mask(mask(payload, key), key)


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x80"),
        (125, b"\x81\xfd"),
        (126, b"\x81\xfe\x00\x7e"),
        (65535, b"\x81\xfe\xff\xff"),
        (65536, b"\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_length_takes_as_few_bytes_as_it_can(size: int, head: bytes) -> None:
    """
    A frame announces its length in the shortest of the three forms, and that it is masked.
    """
    frame = encode(Opcode.TEXT, b"x" * size)

    assert frame.startswith(head)
    assert len(frame) == len(head) + 4 + size
    assert b"x" * size == mask(frame[len(head) + 4 :], frame[len(head) : len(head) + 4])


def test_a_compressed_message_says_so() -> None:
    """Only a compressed message has the first reserved bit set (RFC 7692, 6)."""
    assert encode(Opcode.TEXT, b"a", compressed=True)[0] == 0xC1
    assert encode(Opcode.TEXT, b"a")[0] == 0x81


def test_every_frame_has_a_key_of_its_own() -> None:
    """No two of many frames share a masking key; an attacker could not foresee one."""
    keys = {encode(Opcode.BINARY, b"")[2:6] for _ in range(5000)}

    assert len(keys) > 4990


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_keys_of_its_own() -> None:
    """Worker processes forked from one parent do not mask with the same keys."""
    encode(Opcode.BINARY, b"")  # keys are in stock
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"".join(encode(Opcode.BINARY, b"")[2:6] for _ in range(4)))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 16)
    os.close(reader)
    os.close(writer)

    assert len(theirs) == 16
    assert theirs != b"".join(encode(Opcode.BINARY, b"")[2:6] for _ in range(4))


@given(reason=st.text(max_size=200), code=st.integers(3000, 4999))
@example(reason="x" * 124, code=3000)
@example(reason="x" + "é" * 62, code=3000)
@example(reason="\U0001f600" * 31, code=3000)
def test_a_reason_is_cut_between_characters(reason: str, code: int) -> None:
    """A reason that is too long for a close frame is cut, and still UTF-8."""
    payload = close_payload(code, reason)

    assert len(payload) <= 125
    got_code, got_reason = parse_close(payload)
    assert code == got_code
    assert reason.startswith(got_reason)
    assert len(reason.encode()) - len(got_reason.encode()) <= max(3, len(reason.encode()) - 120)


def test_a_goodbye_without_a_code_is_empty() -> None:
    """Who says no code says nothing at all."""
    assert close_payload(None, "ignored") == b""
    assert parse_close(b"") == (None, "")


def test_which_codes_a_peer_may_send() -> None:
    """
    Codes that are assigned, registered or private are valid; reserved and unknown are not.
    """
    valid = {code for code in range(65536) if is_valid_received_close_code(code)}

    assigned = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
    assert assigned | set(range(3000, 5000)) == valid


def test_a_violation_says_code_and_reason() -> None:
    """What failed a connection is told with the close code it is answered with."""
    with pytest.raises(ProtocolViolation) as caught:
        parse_close(b"\x03")

    assert (caught.value.code, caught.value.reason) == (1002, "close frame with one byte")
