"""H.264 coded in fields (PAFF): cameras write it, ffmpeg's encoders do not.

Each field is a grey picture of macroblocks without compression (I_PCM).
Source: ITU-T H.264, 7.3 (syntax), 7.4.1 (escaped zeros), 9.1 (ue, Exp-Golomb codes).
"""

import re

WIDTH, HEIGHT = 4, 2  # of a field, in macroblocks
SEQUENCE, PICTURE, DELIMITER, FIRST, SECOND = b"\x67", b"\x68", b"\x09", b"\x65", b"\x61"


def stream(frames: int) -> bytes:
    """Return an elementary stream of 64x64 pixels: two access units a frame."""
    return heading() + b"".join(field(n, bottom) for n in range(frames) for bottom in (0, 1))


def heading() -> bytes:
    """Parameter sets: Main profile, frame_mbs_only_flag 0, so pictures may be of fields."""
    size = ue(WIDTH - 1) + ue(HEIGHT - 1)
    sequence = f"{77:08b}{0:08b}{30:08b}" + ue(0) + ue(0) + ue(2) + ue(1) + "0" + size + "00100"
    picture = ue(0) + ue(0) + "00" + ue(0) * 3 + "000" + ue(0) * 3 + "000"
    return unit(SEQUENCE, sequence) + unit(PICTURE, picture)


def field(number: int, bottom: int) -> bytes:
    """One field in one slice; a top one can be decoded without any before it."""
    opening = ue(0) + ue(7) + ue(0) + f"{0:04b}1{bottom}"
    marking = "0" if bottom else ue(number % 2) + "00"
    bits = opening + marking + ue(0)
    grey = f"{60 + number:08b}" * 256 + f"{128:08b}" * 128
    for _ in range(WIDTH * HEIGHT):
        bits = aligned(bits + ue(25)) + grey
    return unit(DELIMITER, "000") + unit(SECOND if bottom else FIRST, bits)


def ue(value: int) -> str:
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


def aligned(bits: str) -> str:
    return bits + "0" * (-len(bits) % 8)


def unit(header: bytes, bits: str) -> bytes:
    bits = aligned(bits + "1")
    payload = int(bits, 2).to_bytes(len(bits) // 8)
    return b"\0\0\0\1" + header + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)
