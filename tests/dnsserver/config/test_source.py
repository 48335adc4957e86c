"""A configuration can be made again elsewhere, of what it was made of, when its files are others already."""

from dnsserver.config import Override, load
from dnsserver.config.files import Files
from dnsserver.config.source import Source


def test_another_process_makes_the_same_configuration_of_the_octets(tmp_path):
    (tmp_path / "example.zone").write_text("www 300 IN A 192.0.2.1\n")
    (tmp_path / "secret").write_text("c2VjcmV0IG9mIHRoZSB0ZXN0cywgbG9uZyBlbm91Z2g=\n")
    (tmp_path / "cookies").write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "password").write_text("of etcd\n")
    file = tmp_path / "zone.yaml"
    file.write_text(
        "tsig: [{name: key, secret_file: secret}]\n"
        "cookies: {secret_file: cookies}\n"
        f"etcd: {{endpoints: ['http://127.0.0.1:1'], username: u, password_file: {tmp_path / 'password'}}}\n"
        "zones: [{name: example., file: example.zone}, {name: 10.0.0.0/24}]\n"
    )
    override = Override("--listen", ("listen",), ["127.0.0.1:5353"])
    config = load(file, [override])
    octets = config.source.packed()
    for path in tmp_path.iterdir():
        path.unlink()
    source = Source.unpacked(octets)
    again = load(source.file, source.overrides, Files(source.file.parent, source.files))
    assert again == config
    assert again.etcd
    assert again.etcd.password == "of etcd"
    assert again.source == config.source
