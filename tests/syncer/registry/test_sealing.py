import base64
import gzip
import json

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.skydns.ownership import Ownership, text_of
from syncer.endpoint import Endpoint, ObjectRef
from syncer.registry.ownership import Convention
from syncer.registry.sealing import Seal
from tests.syncer.registry.test_transactions import Etcd, desires, json_of

KEY = "0123456789abcdef0123456789abcdef"
SEAL = Seal.of(KEY)
SEALED = Convention(seal=SEAL, is_sealed=True)
REF = ObjectRef("ingress", "default", "web")
WEB = Endpoint(name="foo.test", type="A", targets=("192.0.2.1",), resource=REF)


def by_external_dns(text, nonce=b"twelve octet"):
    """A text as ExternalDNS seals it: Go's GCM puts the sealed octets behind the nonce."""
    sealed = AESGCM(KEY.encode()).encrypt(nonce, gzip.compress(text.encode()), None)
    return base64.b64encode(nonce + sealed).decode()


@given(st.text(max_size=200))
def test_what_is_sealed_is_opened_again_and_sealed_alike(text):
    sealed = SEAL.seal(text)
    assert (SEAL.open(sealed), SEAL.seal(text)) == (text, sealed)
    assert Seal.of(KEY[::-1]).open(sealed) is None


@given(st.text(max_size=100))
def test_whatever_is_opened_nothing_is_raised(text):
    assert SEAL.open(text) is None


def test_a_text_that_unpacks_to_too_much_is_not_opened():
    assert SEAL.open(by_external_dns("x" * 10_000_000)) is None


@pytest.mark.parametrize("key", [KEY, base64.b64encode(KEY.encode()).decode()])
def test_a_key_is_32_characters_or_octets_in_base64(key):
    assert Seal.of(key) == SEAL


@pytest.mark.parametrize("key", ["short", KEY + "x", base64.b64encode(b"x" * 31).decode()])
def test_other_keys_are_refused(key):
    with pytest.raises(ValueError, match="32"):
        Seal.of(key)


def stored(text):
    return {
        b"/skydns/test/foo/3e50afa9": json_of(host="192.0.2.1", targetstrip=1),
        b"/skydns/test/a-foo/1fd148cb": json_of(text=text, targetstrip=1),
    }


PLAIN = text_of(Ownership("default", str(REF)))


@pytest.mark.parametrize("quote", ["", '"'])
def test_what_external_dns_sealed_is_ours_and_stays_as_it_is(quote):
    text = PLAIN.strip('"').replace(",external-dns/resource", ",external-dns/nonce=x,external-dns/resource")
    etcd = Etcd(stored(f"{quote}{by_external_dns(text)}{quote}"), SEALED)
    assert etcd.planned([WEB])[0].changes == ()
    etcd.sync([])
    assert etcd.values() == {}


def test_what_was_sealed_with_another_key_is_nobodys():
    etcd = Etcd(stored(Seal.of(KEY[::-1]).seal(PLAIN)), SEALED)
    before = etcd.values()
    etcd.sync([])
    assert etcd.values() == before


def test_plain_texts_are_rewritten_sealed_and_back():
    etcd = Etcd(stored(PLAIN), SEALED)
    etcd.sync([WEB])
    assert etcd.planned([WEB])[0].changes == ()
    assert not any(b"heritage" in value for value in etcd.values().values())
    etcd.convention = Convention(seal=SEAL)
    etcd.sync([WEB])
    assert [json.loads(value) for value in etcd.values().values()] == [
        json.loads(value) for value in stored(PLAIN).values()
    ]


@given(desires, desires)
def test_runs_with_sealed_texts_converge_and_leave_nothing(first, second):
    etcd = Etcd({}, SEALED)
    for desired in (first, second, []):
        etcd.sync(desired)
        assert etcd.planned(desired)[0].changes == ()
        assert not any(b"heritage" in value for value in etcd.values().values())
    assert etcd.values() == {}
