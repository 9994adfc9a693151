"""Take Matroska files apart, and put them together with other elements and sizes."""

from collections.abc import Callable

HEAD, SEGMENT, INFO, TRACKS, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
CUES, SEEK_HEAD, VOID, CRC, SIMPLE_BLOCK = 0x1C53BB6B, 0x114D9B74, 0xEC, 0xBF, 0xA3
UNKNOWN = b"\x01" + b"\xff" * 7
Elements = list[tuple[int, bytes]]


def element(kind: int, payload: bytes, size: bytes | None = None) -> bytes:
    """Return an element whose size has eight bytes. size: another one than the true one."""
    name = kind.to_bytes((kind.bit_length() + 7) // 8)
    return name + (size or (len(payload) | 1 << 56).to_bytes(8)) + payload


def elements(data: bytes) -> Elements:
    """Return id and payload of each element; all must have a size."""
    found, at = [], 0
    while at < len(data):
        width = 9 - data[at].bit_length()
        kind = int.from_bytes(data[at : at + width])
        at += width
        width = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + width]) & (1 << 7 * width) - 1
        at += width
        found.append((kind, data[at : at + size]))
        at += size
    return found


def parts(data: bytes) -> tuple[bytes, Elements]:
    """Return the head of a file, and the elements of its segment."""
    (_, head), (_, segment) = elements(data)
    return element(HEAD, head), elements(segment)


def segment_of(head: bytes, children: Elements, size: bytes | None = None) -> bytes:
    """Return a file of these elements; those that name places in it are left out."""
    kept = [each for each in children if each[0] not in (CUES, SEEK_HEAD, VOID, CRC)]
    return head + element(SEGMENT, b"".join(element(*each) for each in kept), size)


def with_blocks(cluster: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Change every simple block of a cluster."""
    return b"".join(
        element(kind, change(payload) if kind == SIMPLE_BLOCK else payload)
        for kind, payload in elements(cluster)
    )
