"""The flood itself."""

import socket

import pytest

from tests.overload.flood import BURST, DATAGRAMS, in_one


@pytest.mark.parametrize("kind", DATAGRAMS)
def test_a_burst_arrives_as_datagrams_of_their_own(kind):
    texts = DATAGRAMS[kind]()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        client.connect(server.getsockname())
        client.sendmsg(*in_one(texts))
        assert [server.recv(65_535) for _ in range(BURST)] == texts
