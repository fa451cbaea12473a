"""What all tests share: no network, a cache of their own, and a tiny encoder."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported

import io
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from rich.console import Console

from polytask.api import evaluate, train
from polytask.encoders.scratch import Scratch
from toys import write_toy

settings.register_profile("polytask", deadline=None, max_examples=50)
settings.load_profile("polytask")
torch.set_num_threads(1)  # tiny models gain nothing from more

Address = tuple[object, ...] | str

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test that reaches for another machine, even if the code under test hides it."""
    attempts: list[object] = []
    real_lookup = socket.getaddrinfo

    def refuse(address: object) -> None:
        attempts.append(address)
        raise OSError(f"a test reached for the network: {address}")

    def guarded(connect: Callable[[socket.socket, Address], int | None]) -> object:
        def call(self: socket.socket, address: Address) -> int | None:
            if self.family != socket.AF_UNIX and address[0] not in _LOOPBACK:
                refuse(address)
            return connect(self, address)

        return call

    def look_up(host: object, *rest: object, **options: object) -> object:
        if host not in (None, *_LOOPBACK):
            refuse(host)
        return real_lookup(host, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
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


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The experiment file of the toy experiment."""
    return write_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def toy_run(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the toy experiment, trained and scored on test. Copy it before changing it."""
    out = tmp_path_factory.mktemp("runs") / "toy"
    train(toy, out=out, console=Console(file=io.StringIO()))
    evaluate(out)
    return out
