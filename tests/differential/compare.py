"""Ask our server and its peers the same, and say where ours is alone with its answer."""

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import dns.exception

from tests.differential.exchange import Question, ask
from tests.differential.responses import Malformed, Response, read
from tests.differential.rules import Truth, differences, room

SHOWN = 12


class Difference(NamedTuple):
    question: Question
    parts: list[str]

    def __str__(self) -> str:
        return "\n    ".join((str(self.question), *self.parts))


class Outcome(NamedTuple):
    asked: int
    differences: list[Difference]
    sided: Counter[str]
    """Peer → questions on which it alone agreed with ours; the peers differ there, so either may."""

    def check(self) -> None:
        shown = "\n".join(map(str, self.differences[:SHOWN]))
        assert not self.differences, f"{len(self.differences)} of {self.asked} answers differ:\n{shown}"


def compare(ours: int, peers: Mapping[str, int], questions: Sequence[Question], truth: Truth) -> Outcome:
    """Ask each question of our port twice, the second time when its answer may be compiled, and of the peers.

    An answer of ours is a difference if no peer gives the same.
    """
    with ThreadPoolExecutor() as pool:
        others = [pool.submit(ask, port, questions) for port in peers.values()]
        firsts = ask(ours, questions)
        seconds = ask(ours, questions)
        answers = [other.result() for other in others]
    found, sided = [], Counter[str]()
    for index, question in enumerate(questions):
        for message in dict.fromkeys((firsts[index], seconds[index])):
            parts = _alone(
                message, question, [answer[index] for answer in answers], list(peers), truth, sided
            )
            if parts:
                found.append(Difference(question, parts))
                break
    return Outcome(len(questions), found, sided)


def _alone(
    message: bytes,
    question: Question,
    answers: Sequence[bytes],
    peers: Sequence[str],
    truth: Truth,
    sided: Counter[str],
) -> list[str]:
    """Return in what each peer differs; nothing if one of them does not."""
    try:
        response = checked(message, question)
    except (Malformed, IndexError, struct.error, dns.exception.DNSException) as error:
        return [f"{type(error).__name__}: {error}"]
    parts = []
    for peer, answer in zip(peers, answers, strict=True):
        differing = differences(response, once_each(read(answer)), question, truth)
        if not differing:
            sided[peer] += 1
            return []
        parts += [f"{peer}: {part}" for part in differing]
    return parts


def once_each(response: Response) -> Response:
    """Return a peer's response without the repetitions it may have in a loop of CNAMEs (RFC 2181 §5)."""
    sections = {
        part: tuple(sorted(set(getattr(response, part)))) for part in ("answer", "authority", "additional")
    }
    return response._replace(**sections)


def checked(message: bytes, question: Question) -> Response:
    """Return a response of ours.

    Raises:
        Malformed: it breaks the format, repeats a record, or is larger than the client takes.
    """
    response = read(message)
    for section in (response.answer, response.authority, response.additional):
        if len(set(section)) < len(section):
            raise Malformed(f"a record twice: {section}")
    if response.size > room(question):
        raise Malformed(f"{response.size} octets where {room(question)} fit")
    return response
