"""Make field-coded H.264 (PAFF), which cameras write but ffmpeg's encoders cannot.

Each field is a grey picture of uncompressed macroblocks (I_PCM).
Source: ITU-T H.264, 7.3 (syntax), 7.4.1 (emulation prevention), 9.1 (ue, Exp-Golomb codes).
"""

import re

WIDTH, HEIGHT = 4, 2  # of a field, in macroblocks
SEQUENCE, PICTURE, DELIMITER, FIRST, SECOND = b"\x67", b"\x68", b"\x09", b"\x65", b"\x61"


def stream(frames: int) -> bytes:
    """Return an elementary stream of 64x64 pixels, two access units per frame."""
    return parameter_sets() + b"".join(field(n, bottom) for n in range(frames) for bottom in (0, 1))


def parameter_sets() -> bytes:
    """Return SPS and PPS: Main profile, frame_mbs_only_flag 0, so pictures may be fields."""
    size = ue(WIDTH - 1) + ue(HEIGHT - 1)
    sequence = f"{77:08b}{0:08b}{30:08b}" + ue(0) + ue(0) + ue(2) + ue(1) + "0" + size + "00100"
    picture = ue(0) + ue(0) + "00" + ue(0) * 3 + "000" + ue(0) * 3 + "000"
    return unit(SEQUENCE, sequence) + unit(PICTURE, picture)


def field(number: int, bottom: int) -> bytes:
    """Return one field in one slice; a top field can be decoded without earlier ones."""
    header = ue(0) + ue(7) + ue(0) + f"{0:04b}1{bottom}"
    marking = "0" if bottom else ue(number % 2) + "00"
    bits = header + marking + ue(0)
    grey = f"{60 + number:08b}" * 256 + f"{128:08b}" * 128
    for _ in range(WIDTH * HEIGHT):
        bits = byte_aligned(bits + ue(25)) + grey
    return unit(DELIMITER, "000") + unit(SECOND if bottom else FIRST, bits)


def ue(value: int) -> str:
    """Encode an unsigned Exp-Golomb code as a string of bits."""
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


def byte_aligned(bits: str) -> str:
    return bits + "0" * (-len(bits) % 8)


def unit(header: bytes, bits: str) -> bytes:
    """Return one NAL unit with its start code."""
    bits = byte_aligned(bits + "1")
    payload = int(bits, 2).to_bytes(len(bits) // 8)
    return b"\0\0\0\1" + header + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)
