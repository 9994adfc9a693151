"""Content Credentials of tests: JUMBF as the standards have it, and in what files carry it."""

import datetime
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
UUIDS = {"c2pa": b"c2pa", "manifest": b"c2ma", "claim": b"c2cl", "assertions": b"c2as"}
_TAIL = bytes.fromhex("00110010800000aa00389b71")


def cbor(value: Any) -> bytes:
    """Encode a value; texts of a length under 65,536."""
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(0, value)
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, Mapping):
        items = [cbor(part) for item in value.items() for part in item]
        return _head(5, len(value)) + b"".join(items)
    assert isinstance(value, Sequence)
    return _head(4, len(value)) + b"".join(map(cbor, value))


def _head(major: int, length: int) -> bytes:
    if length < 24:
        return bytes([major << 5 | length])
    return bytes([major << 5 | 25]) + struct.pack(">H", length)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def superbox(kind: str, label: str, *children: bytes) -> bytes:
    description = UUIDS.get(kind, kind.encode()) + _TAIL + b"\3" + label.encode() + b"\0"
    return box(b"jumb", box(b"jumd", description) + b"".join(children))


def manifest(
    source_type: str | None = "trainedAlgorithmicMedia",
    claim: Mapping[str, Any] | None = None,
    filler: int = 0,
) -> bytes:
    """One manifest. source_type: of its action; claim: in place of a usual one; filler: bytes."""
    action: dict[str, Any] = {"action": "c2pa.created"}
    if source_type is not None:
        action["digitalSourceType"] = SOURCE_TYPES + source_type
    made_by = {"claim_generator_info": {"name": "Test Camera", "version": "1.2"}}
    return superbox(
        "manifest",
        "urn:c2pa:1",
        superbox(
            "assertions",
            "c2pa.assertions",
            superbox("bidb", "c2pa.thumbnail.claim", box(b"bidb", bytes(filler))),
            superbox("cbor", "c2pa.actions.v2", box(b"cbor", cbor({"actions": [action]}))),
        ),
        superbox("claim", "c2pa.claim.v2", box(b"cbor", cbor(claim or made_by))),
    )


def store(*manifests: bytes) -> bytes:
    return superbox("c2pa", "c2pa", *(manifests or (manifest(),)))


def in_mp4(content: bytes, carried: bytes, purpose: bytes = b"manifest") -> bytes:
    """Put a store behind all boxes: before the samples it would move them."""
    payload = C2PA_BOX + bytes(4) + purpose + b"\0" + bytes(8) + carried
    return content + box(b"uuid", payload)


def in_jpeg(content: bytes, carried: bytes, piece: int = 60_000) -> bytes:
    """Put a store into segments APP11 behind the first two bytes; each repeats the box's header."""
    segments = []
    for n, start in enumerate(range(8, len(carried), piece), 1):
        part = b"JP" + struct.pack(">HI", 1, n) + carried[:8] + carried[start : start + piece]
        segments.append(b"\xff\xeb" + struct.pack(">H", 2 + len(part)) + part)
    return content[:2] + b"".join(segments) + content[2:]


def in_webp(content: bytes, carried: bytes) -> bytes:
    """Put a store behind the other chunks of a picture."""
    chunk = b"C2PA" + struct.pack("<I", len(carried)) + carried + bytes(len(carried) % 2)
    size = struct.pack("<I", len(content) - 8 + len(chunk))
    return content[:4] + size + content[8:] + chunk


def in_png(content: bytes, carried: bytes) -> bytes:
    """Put a store into a chunk behind the header of the picture."""
    chunk = b"caBX" + carried
    return (
        content[:33]
        + struct.pack(">I", len(carried))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + content[33:]
    )


def sign(source: Path, signed: Path, media_type: str, source_type: str) -> None:
    """Sign a file with c2pa-python, by certificates that are made for it."""
    import c2pa

    certificates, key = _certificates()
    action = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPES + source_type}
    claim = {
        "claim_generator_info": [{"name": "Test Camera", "version": "1.2"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    info = c2pa.C2paSignerInfo(
        alg=c2pa.C2paSigningAlg.ES256, sign_cert=certificates, private_key=key, ta_url=None
    )
    with (
        c2pa.Signer.from_info(info) as signer,
        c2pa.Builder(json.dumps(claim)) as builder,
        source.open("rb") as plain,
        signed.open("w+b") as out,
    ):
        builder.sign(signer, media_type, plain, out)


def _certificates() -> tuple[bytes, bytes]:
    """Return a chain of two certificates, and the key of the first, as PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    chain = _certificate("leaf", leaf, root) + _certificate("root", root, root)
    private = leaf.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return chain, private


def _certificate(subject: str, key: Any, root: Any) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    def named(name: str) -> x509.Name:
        organisation = x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Tests")
        return x509.Name([organisation, x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    now, is_root = datetime.datetime.now(datetime.UTC), key is root
    use = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("encipher_only", "decipher_only"),
        ),
        False,
    )
    usage = x509.KeyUsage(
        digital_signature=not is_root, key_cert_sign=is_root, crl_sign=is_root, **use
    )
    by_root = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named("root"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(by_root, critical=False)
    )
    if not is_root:
        mail = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(mail, critical=False)
    return builder.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
