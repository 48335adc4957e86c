"""The zone YAML: every fault at once, each with file, line, column and what was expected."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.config import ConfigError, Override, load
from dnsserver.config.document import read
from dnsserver.wire import name

GOOD = "zones:\n  - name: example.\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "zone.yaml"


def faults(file: Path, text: str, *overrides: Override) -> list[str]:
    """Return the faults of a file's text, less the file's name."""
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, overrides)
    return [line.removeprefix(f"{file}:") for line in caught.value.faults]


def test_the_default_configuration_is_good():
    config = load(Path(__file__).parents[3] / "config" / "zone.yaml")
    assert config.zones[0].soa.minimum == 30


def test_a_name_is_all_a_zone_needs(file):
    file.write_text(GOOD)
    (zone,) = load(file).zones
    assert (zone.ttl, zone.soa.minimum, zone.lookup, zone.records) == (300, 30, "skydns", [])
    assert load(file).etcd is None


def test_three_faults_are_told_at_once_with_their_places(file):
    text = """\
listen: [127.0.0.1]
zones:
  - name: example.
    tll: 5
    records:
      - {name: www, type: A, data: 192.0.2.300}
"""
    assert faults(file, text) == [
        "1:10: listen[0]: expected ADDRESS:PORT as 127.0.0.1:53 or [::1]:53, got '127.0.0.1'",
        "4:5: zones[0].tll: unknown key; did you mean ttl?",
        "6:36: zones[0].records[0].data: A: '192.0.2.300': expected an IPv4 address",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("zone:\n  - name: a.\n", "1:1: zone: unknown key; did you mean zones?"),
        ("etcd: {endpoint: [x]}\n" + GOOD, "1:8: etcd.endpoint: unknown key; did you mean endpoints?"),
        (
            "zones:\n  - name: a.\n    soa: {minium: 1}\n",
            "3:11: zones[0].soa.minium: unknown key; did you mean minimum?",
        ),
        ("zones:\n  - name: a.\n    recs: []\n", "3:5: zones[0].recs: unknown key; did you mean records?"),
        ("xyzzy: 1\n" + GOOD, "1:1: xyzzy: unknown key"),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_known_one(file, text, fault):
    assert fault in faults(file, text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD + GOOD, "3:1: zones: a second time; it stands on line 1"),
        ("zones:\n  - name: a.\n    name: b.\n", "3:5: zones[0].name: a second time; it stands on line 2"),
        ("zones: &z\n  - name: a.\nlisten: *z\n", "3:9: an alias (*); write the value out"),
        ("zones:\n  - name: !!str a.\n", "2:11: a tag (tag:yaml.org,2002:str); write plain values"),
        (
            "zones:\n  - name: !!python/name:os.system a.\n",
            "2:11: a tag (tag:yaml.org,2002:python/name:os.system); write plain values",
        ),
        ("zones:\n  - [name]: a.\n", "2:5: zones[0]: a key that is no plain word"),
        ("zones: [\n", "2:1: not YAML: "),
        ("zones:\n\t- a\n", "2:1: not YAML: "),
        ("a: 1\n---\nb: 2\n", "2:1: not YAML: "),
        ("[a]\n", "1:1: expected keys and values, got a list"),
        ("text\n", "1:1: expected keys and values, got a str"),
        ("", "1:1: missing key zones"),
        ("# nothing\n", "1:1: missing key zones"),
        ("zones: []\n", "1:8: zones: expected at least one"),
        ("zones:\n", "1:7: zones: expected a list"),
    ],
)
def test_yaml_has_no_surprises(file, text, fault):
    found = faults(file, text)
    assert any(line.startswith(fault) for line in found), found


def test_nesting_is_bounded(file):
    assert any("nested deeper than 20" in line for line in faults(file, "a: " + "[" * 5000 + "]" * 5000))
    assert faults(file, "a: " + "{a: " * 30 + "1" + "}" * 30)


def test_aliases_do_not_multiply(file):
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    assert len(faults(file, bomb)) >= 20


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("ttl: no", "expected a whole number, got 'no'"),
        ("ttl: 010", "expected a whole number, got '010'"),
        ("ttl: 0x10", "expected a whole number, got '0x10'"),
        ("ttl: 1_000", "expected a whole number, got '1_000'"),
        ("ttl: 22:30", "expected a whole number, got '22:30'"),
        ("ttl: 1.0", "expected a whole number, got 1.0"),
        ("ttl: true", "expected a whole number, got True"),
        ("ttl: '300'", "expected a whole number, got '300'"),
        ("ttl: -1", "expected at least 0, got -1"),
        ("ttl: 2147483648", "expected at most 2147483647, got 2147483648"),
        ("lookup: Exact", "expected 'skydns' or 'exact', got 'Exact'"),
        ("soa: {mname: 5}", "expected a string; quote it, got 5"),
        ("soa: {mname: a..b}", "expected a domain name: "),
        ("soa: {rname: me@example.org}", "expected a domain name; a mail address has a dot for @"),
        ("soa: []", "expected keys and values"),
        ("records: {}", "expected a list"),
        ("records: [a]", "expected keys and values"),
        ("records: [{name: a, type: A}]", "missing key data"),
        (
            "records: [{name: a, type: AA, data: x}]",
            "expected a record type as A, TXT or TYPE65280, got 'AA'",
        ),
        ("records: [{name: a, type: TYPE65536, data: x}]", "expected a record type"),
        ("records: [{name: a, type: SOA, data: x}]", "the SOA is made of the zone's soa"),
        ("records: [{name: a, type: TYPE41, data: x}]", "no type that a zone holds"),
        ("records: [{name: a.example.org., type: A, data: 192.0.2.1}]", "a.example.org. is outside the zone"),
        ("records: [{name: 'a..b', type: A, data: 192.0.2.1}]", "a label of 0 octets"),
        ("records: [{name: a, type: A, data: 192.0.2.1, ttl: '5'}]", "expected a whole number"),
        (
            "records: [{name: a, type: CNAME, data: b}, {name: a, type: CNAME, data: c}]",
            "a second CNAME at this name; a name has one",
        ),
        (
            "records: [{name: A, type: CNAME, data: b}, {name: a, type: A, data: 192.0.2.1}]",
            "a CNAME beside other records of this name; it must be alone",
        ),
    ],
)
def test_a_fault_says_what_was_expected(file, line, fault):
    found = faults(file, f"zones:\n  - name: example.\n    {line}\n")
    assert len(found) == 1, found
    assert found[0].startswith("3:")
    assert fault in found[0]


@pytest.mark.parametrize(
    "listen",
    [
        "53",
        "127.0.0.1",
        "localhost:53",
        "::1:53",
        "[127.0.0.1]:53",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        ":53",
    ],
)
def test_an_address_to_listen_on_is_an_ip_address_and_a_port(file, listen):
    (fault,) = faults(file, f"listen: ['{listen}']\n" + GOOD)
    assert fault.startswith("1:10: listen[0]: expected ADDRESS:PORT")


@pytest.mark.parametrize(
    ("etcd", "fault"),
    [
        ("{}", "1:7: etcd: missing key endpoints"),
        ("{endpoints: []}", "1:19: etcd.endpoints: expected at least one"),
        (
            "{endpoints: ['http://root:hush@etcd:2379']}",
            "1:20: etcd.endpoints[0]: expected no user in the URL",
        ),
        ("{endpoints: ['etcd:2379']}", "1:20: etcd.endpoints[0]: 'etcd:2379': expected http://HOST:PORT"),
        (
            "{endpoints: ['http://a:1', 'https://b:1']}",
            "1:7: etcd: endpoints: expected all http or all https",
        ),
        (
            "{endpoints: ['http://a:1'], username: u}",
            "1:7: etcd: expected username and password_file together",
        ),
        ("{endpoints: ['https://a:1'], cert_file: c}", "1:7: etcd: expected cert_file and key_file together"),
        ("{endpoints: ['http://a:1'], ca_file: c}", "1:7: etcd: certificates are for https endpoints"),
        ("{endpoints: ['http://a:1'], prefix: skydns}", "1:43: etcd.prefix: "),
    ],
)
def test_faults_of_etcd_have_their_places(file, etcd, fault):
    (found,) = faults(file, f"etcd: {etcd}\n" + GOOD)
    assert found.startswith(fault)


def test_a_zone_stands_once(file):
    text = "zones:\n  - {name: Example.}\n  - {name: example}\n"
    (fault,) = faults(file, text)
    assert fault.startswith("3:")
    assert "a second zone of this name" in fault


def test_the_same_record_twice_is_one(file):
    record = "{name: a, type: CNAME, data: b}"
    file.write_text(f"zones:\n  - name: example.\n    records: [{record}, {record}]\n")
    assert load(file).zones


def test_a_file_that_cannot_be_read_is_one_fault(file, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        load(file)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)
    file.write_bytes(b"zones: \xff")
    with pytest.raises(ConfigError, match="not UTF-8 at octet 7"):
        load(file)


def test_the_password_of_etcd_is_read_with_the_file_and_its_faults_have_a_place(file, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("pass word\n")
    text = f"etcd: {{endpoints: ['http://a:1'], username: u, password_file: {secret}}}\n"
    file.write_text(text + GOOD)
    etcd = load(file).etcd
    assert etcd
    assert etcd.password == "pass word"
    assert "pass word" not in repr(etcd)
    secret.unlink()
    (fault,) = faults(file, text + GOOD)
    assert fault.startswith("1:")
    assert f"etcd.password_file: {secret} cannot be read: No such file" in fault


def test_an_override_replaces_a_value_and_owns_its_faults(file):
    good = Override("--listen", ("listen",), ["127.0.0.2:5300"])
    file.write_text("listen: ['127.0.0.1:53']\n" + GOOD)
    assert [str(address) for address in load(file, [good]).listen] == ["127.0.0.2:5300"]
    bad = Override("--listen", ("listen",), ["nonsense"])
    file.write_text(GOOD)
    with pytest.raises(ConfigError) as caught:
        load(file, [bad])
    assert caught.value.faults[0].startswith("--listen: expected ADDRESS:PORT")


def test_an_override_makes_what_the_file_has_not(file):
    file.write_text(GOOD)
    config = load(file, [Override("--etcd-endpoints", ("etcd", "endpoints"), ["http://127.0.0.1:2379"])])
    assert config.etcd
    assert config.etcd.prefix == "/skydns"


@given(st.text(max_size=200))
def test_any_text_is_read_or_has_faults(text):
    document = read(text)
    assert (
        document.faults
        or document.data is None
        or isinstance(document.data, dict | list | str | int | float | bool)
    )
    for fault in document.faults:
        assert fault.place is None or fault.place.line >= 1


@given(
    st.recursive(
        st.text("ab:{}[]-*&!|>'\" \n#", max_size=8),
        lambda inner: st.lists(inner, max_size=3).map("\n".join),
        max_leaves=12,
    )
)
def test_any_text_of_yaml_signs_is_read_or_has_faults(text):
    read(text)


def test_names_are_read_as_octets(file):
    file.write_text("zones:\n  - name: 'Ex\\097mple.'\n", "utf-8")
    assert load(file).zones[0].name == (name.from_text("example."),)
