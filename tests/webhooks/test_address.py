"""Where webhooks may go: what a URL names, and which addresses are public."""

from ipaddress import ip_address

import pytest

from jobserver.webhooks.address import (
    Allowed,
    Receiver,
    check_addresses,
    is_public,
    read_allowed,
    read_url,
)

NOTHING = Allowed()
PRIVATE = "must not name a private address"
UNUSUAL = "must name its host by a usual name or address"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://example.com", ("https", "example.com", 443, "/")),
        ("https://Example.COM./a?b=c#d", ("https", "example.com", 443, "/a?b=c")),
        ("https://example.com:8443/a", ("https", "example.com", 8443, "/a")),
        ("https://8.8.8.8/", ("https", "8.8.8.8", 443, "/")),
        ("https://[2606:4700::1111]/", ("https", "2606:4700::1111", 443, "/")),
        ("HTTPS://example.com/", ("https", "example.com", 443, "/")),
        ("https://xn--bcher-kva.example/", ("https", "xn--bcher-kva.example", 443, "/")),
    ],
)
def test_a_public_https_address_is_taken(url: str, parts: tuple[str, str, int, str]) -> None:
    assert read_url(url, NOTHING) == Receiver(*parts)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/", "must begin with https://"),
        ("ftp://example.com/", "must be a URL like"),
        ("//example.com/", "must be a URL like"),
        ("https:///a", "must be a URL like"),
        ("https://", "must be a URL like"),
        ("example.com", "must be a URL like"),
        ("https://user@example.com/", "must not have a user name"),
        ("https://user:secret@example.com/", "must not have a user name"),
        ("https://example.com@127.0.0.1/", "must not have a user name"),
        ("https://@example.com/", "must not have a user name"),
        ("https://example.com:22/", "must use port 443 or 8443"),
        ("https://example.com:6379/", "must use port 443 or 8443"),
        ("https://example.com:80/", "must use port 443 or 8443"),
        ("https://example.com:0/", "must be a URL like"),
        ("https://example.com:65536/", "must be a URL like"),
        ("https://example.com:a/", "must be a URL like"),
        ("https://127.0.0.1/", PRIVATE),
        ("https://localhost/", PRIVATE),
        ("https://LOCALHOST./", PRIVATE),
        ("https://a.localhost/", PRIVATE),
        ("https://10.1.2.3/", PRIVATE),
        ("https://169.254.169.254/latest/meta-data/", PRIVATE),
        ("https://0.0.0.0/", PRIVATE),
        ("https://[::1]/", PRIVATE),
        ("https://[::]/", PRIVATE),
        ("https://[::ffff:127.0.0.1]/", PRIVATE),
        ("https://[::ffff:7f00:1]/", PRIVATE),
        ("https://[fe80::1]/", PRIVATE),
        ("https://[fe80::1%25eth0]/", UNUSUAL),
        ("https://[fd00::1]/", PRIVATE),
        ("https://[64:ff9b::7f00:1]/", PRIVATE),
        ("https://[2002:7f00:1::]/", PRIVATE),
        ("https://2130706433/", UNUSUAL),
        ("https://0177.0.0.1/", UNUSUAL),
        ("https://017700000001/", UNUSUAL),
        ("https://0x7f000001/", UNUSUAL),
        ("https://0x7f.1/", UNUSUAL),
        ("https://127.1/", UNUSUAL),
        ("https://127.0.0.01/", UNUSUAL),
        ("https://1.2.3.4.5/", UNUSUAL),
        ("https://%31%32%37.0.0.1/", UNUSUAL),
        ("https://exa mple.com/", "must be a URL of ASCII"),
        ("https://example.com/\r\nX-A: b", "must be a URL of ASCII"),
        ("https://example.com\\@127.0.0.1/", "must be a URL of ASCII"),
        ("https://ｅxample.com/", "must be a URL of ASCII"),  # noqa: RUF001  a wide e
        ("", "must be a URL of ASCII"),
        ("https://example.com/" + "a" * 2048, "must have at most 2048 characters"),
    ],
)
def test_any_other_url_is_refused_with_a_reason(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_url(url, NOTHING)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::8.8.8.8", True),
        ("0.0.0.1", False),
        ("10.255.255.255", False),
        ("100.64.0.1", False),
        ("127.255.0.1", False),
        ("169.254.169.254", False),
        ("172.31.0.1", False),
        ("192.0.0.192", False),
        ("192.88.99.1", False),
        ("192.168.1.1", False),
        ("198.19.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b:1::808:808", False),
        ("100::1", False),
        ("2001::1", False),
        ("2001:db8::1", False),
        ("2002:808:808::1", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("fc00::1", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


def test_what_is_allowed_may_be_private_and_use_http_and_any_port() -> None:
    allowed = read_allowed(["hooks.internal", " 10.0.0.0/8", "::1", "192.168.7.7"])
    for url in (
        "http://hooks.internal:8080/",
        "https://hooks.internal/",
        "http://10.1.2.3/",
        "http://[::ffff:10.1.2.3]/",
        "http://[::1]:9000/",
        "http://192.168.7.7/",
    ):
        assert read_url(url, allowed).target == "/"
    for url in ("http://11.1.2.3/", "https://192.168.7.8/", "http://other.internal/"):
        with pytest.raises(ValueError, match="must"):
            read_url(url, allowed)


def test_every_address_of_a_name_must_be_public_or_allowed() -> None:
    allowed = read_allowed(["hooks.internal", "10.0.0.0/8"])
    example, internal = (
        read_url(f"https://{host}/", allowed) for host in ("example.com", "hooks.internal")
    )
    check_addresses(example, ["8.8.8.8", "10.0.0.1", "2606:4700::1"], allowed)
    check_addresses(internal, ["127.0.0.1"], allowed)
    for found in (["8.8.8.8", "127.0.0.1"], ["::1"], ["fe80::1%eth0"], ["::ffff:192.168.0.1"]):
        with pytest.raises(ValueError, match=r"the address of example\.com is not public"):
            check_addresses(example, found, allowed)


@pytest.mark.parametrize(
    "word", ["", "a b", "10.0.0.1/8", "https://a.b", "a:80", "2130706433", "*"]
)
def test_a_word_that_names_no_host_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="is neither a host name nor an address or a network"):
        read_allowed(["example.com", word])
