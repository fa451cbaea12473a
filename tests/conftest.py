"""What all tests share: no network, a cache of their own, and a tiny encoder."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported

import socket
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

from polytask.encoders.scratch import Scratch

settings.register_profile("polytask", deadline=None, max_examples=50)
settings.load_profile("polytask")
torch.set_num_threads(2)

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test that reaches for another machine, even if the code under test hides the error."""
    attempts: list[object] = []

    def refuse(address: object) -> None:
        attempts.append(address)
        raise OSError(f"a test reached for the network: {address}")

    real_connect, real_lookup = socket.socket.connect, socket.getaddrinfo

    def connect(self: socket.socket, address: tuple[object, ...] | str) -> None:
        if self.family != socket.AF_UNIX and address[0] not in _LOOPBACK:
            refuse(address)
        real_connect(self, address)

    def look_up(host: object, *rest: object, **options: object) -> object:
        if host not in (None, *_LOOPBACK):
            refuse(host)
        return real_lookup(host, *rest, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield
    assert not attempts, f"network attempts: {attempts}"


@pytest.fixture(scope="session", autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Cached tables of a test session never meet those of the user or of another session."""
    os.environ["POLYTASK_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def tiny_encoder() -> Scratch:
    """An encoder section small enough for every test: 2 layers of width 16."""
    return Scratch(
        layers=2, width=16, attention_heads=2, vocabulary=200, max_tokens=32, dropout=0.0
    )
