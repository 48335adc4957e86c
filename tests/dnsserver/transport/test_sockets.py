"""Several sockets of one address."""

import socket
from contextlib import closing

import pytest

from dnsserver.transport.sockets import Address, ListenError, listen
from tools.embedded_etcd import free_port


def test_each_client_has_one_of_the_sockets_and_all_have_clients():
    address = Address("127.0.0.1", free_port())
    with closing(listen([address], 3)[address]) as sockets:
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(64)]
        for number, client in enumerate(clients):
            for _ in range(3):
                client.sendto(bytes((number,)), tuple(address))
        held = [received(sock) for sock in sockets.udp.values()]
        for client in clients:
            client.close()
    assert sorted(number for numbers in held for number in numbers) == sorted(list(range(64)) * 3)
    assert not set(held[0]) & set(held[1]) | set(held[1]) & set(held[2])
    assert all(held)


def received(sock: socket.socket) -> list[int]:
    found = []
    while True:
        try:
            found.append(sock.recv(1)[0])
        except BlockingIOError:
            return found


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_port_is_not_shared_with_others_even_if_they_would(kind, count):
    with socket.socket(socket.AF_INET, kind) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        address = Address(*other.getsockname())
        with pytest.raises(ListenError, match="the port is taken"):
            listen([Address("127.0.0.1", free_port()), address], count)


def test_when_one_address_cannot_be_had_none_is_kept():
    first = Address("127.0.0.1", free_port())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(ListenError):
            listen([first, Address(*taken.getsockname())], 2)
        listen([first])[first].close()
