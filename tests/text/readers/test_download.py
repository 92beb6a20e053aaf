"""Tests of downloads, from a server on the loopback interface: checksums, cache and one-line errors."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from topicnet.errors import CorpusError
from topicnet.text.readers import download
from topicnet.text.readers.download import CachedDownload, cache_folder

CONTENT = b"one cat\ttrain\t0\ntwo dogs\ttest\t1\n"
ANOTHER = b"three birds\ttrain\t0\n"


class Upstream(ThreadingHTTPServer):
    """A server whose response the tests control, which counts the requests."""

    daemon_threads = False  # so that server_close waits for the last response
    content = CONTENT
    status = (200, "OK")
    promised = 0  # bytes announced but not sent
    hangs = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked = 0
        self.half_sent, self.go_on = threading.Event(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/corpus.tsv"


class Answer(BaseHTTPRequestHandler):
    server: Upstream

    def do_GET(self) -> None:
        self.server.asked += 1
        content = self.server.content
        self.send_response(*self.server.status)
        self.send_header("Content-Length", str(len(content) + self.server.promised))
        self.end_headers()
        half = len(content) // 2
        self.wfile.write(content[:half])
        if self.server.hangs:
            self.server.half_sent.set()
            self.server.go_on.wait(60)
            return
        self.wfile.write(content[half:])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    monkeypatch.setenv("no_proxy", "*")
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


def file_of(url: str, path: Path, content: bytes = CONTENT) -> CachedDownload:
    return CachedDownload("short", url, hashlib.sha256(content).hexdigest(), path)


def refusal(file: CachedDownload) -> str:
    with pytest.raises(CorpusError) as caught:
        file.content()
    message = str(caught.value)
    assert message.isprintable()  # implies one line
    assert "'short'" in message
    assert repr(str(file.path)) in message
    return message


def test_the_first_use_downloads_and_the_next_does_not(upstream: Upstream, tmp_path: Path) -> None:
    file = file_of(upstream.url, tmp_path / "made" / "short.tsv")
    assert [file.content(), file.content()] == [CONTENT, CONTENT]
    assert upstream.asked == 1
    assert list(file.path.parent.iterdir()) == [file.path]
    assert file.path.read_bytes() == CONTENT


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], CONTENT + b"\n", ANOTHER])
def test_a_damaged_file_is_fetched_again(upstream: Upstream, tmp_path: Path, damaged: bytes) -> None:
    file = file_of(upstream.url, tmp_path / "short.tsv")
    file.path.write_bytes(damaged)
    assert file.content() == CONTENT
    assert file.path.read_bytes() == CONTENT
    assert upstream.asked == 1


def test_another_file_is_rejected_and_not_cached(upstream: Upstream, tmp_path: Path) -> None:
    upstream.content = ANOTHER
    file = file_of(upstream.url, tmp_path / "made" / "short.tsv")
    message = refusal(file)
    assert upstream.url in message
    assert f"sha256 {hashlib.sha256(ANOTHER).hexdigest()}, expected sha256 {file.sha256}" in message
    assert "put the expected file at" in message
    assert list(tmp_path.iterdir()) == []


def test_a_cached_file_stays_if_the_download_fails(upstream: Upstream, tmp_path: Path) -> None:
    upstream.content = ANOTHER
    file = file_of(upstream.url, tmp_path / "short.tsv")
    file.path.write_bytes(b"damaged")
    refusal(file)
    assert file.path.read_bytes() == b"damaged"
    assert list(tmp_path.iterdir()) == [file.path]


def test_a_download_stops_at_the_limit(upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 10)
    assert "(over 10 bytes, expected sha256" in refusal(file_of(upstream.url, tmp_path / "short.tsv"))
    monkeypatch.setattr(download, "MAX_BYTES", len(CONTENT))
    assert file_of(upstream.url, tmp_path / "short.tsv").content() == CONTENT


@pytest.mark.parametrize("status", [(404, "Not Found"), (503, "Down \x1b[31m for now")])
def test_a_server_error_is_reported_in_one_line(upstream: Upstream, tmp_path: Path, status: tuple[int, str]) -> None:
    upstream.status = status
    message = refusal(file_of(upstream.url, tmp_path / "short.tsv"))
    assert f"could not be downloaded from {upstream.url} (HTTP Error {status[0]}: {status[1].split()[0]}" in message
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_connection_is_not_reported_as_a_wrong_checksum(upstream: Upstream, tmp_path: Path) -> None:
    upstream.promised = 1
    message = refusal(file_of(upstream.url, tmp_path / "short.tsv"))
    assert "could not be downloaded" in message
    assert "(the connection was interrupted): check the network" in message
    assert list(tmp_path.iterdir()) == []


def test_a_silent_server_times_out(upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.2)
    upstream.hangs = True
    assert "(timed out)" in refusal(file_of(upstream.url, tmp_path / "short.tsv"))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address where nothing listens, so that connections fail immediately, as without a network."""
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as deaf:  # reserves the port, so that nothing else listens on it
        deaf.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{deaf.getsockname()[1]}/corpus.tsv"


def test_without_a_network_the_message_says_where_to_put_the_file(nobody: str, tmp_path: Path) -> None:
    file = file_of(nobody, tmp_path / "made" / "short.tsv")
    message = refusal(file)
    assert message == (
        f"the corpus 'short' could not be downloaded from {nobody} (Connection refused): check the network, or fetch"
        f" the file elsewhere (sha256 {file.sha256}) and put it at {str(file.path)!r}"
    )
    assert list(tmp_path.iterdir()) == []
    file.path.parent.mkdir()
    file.path.write_bytes(CONTENT)
    assert file.content() == CONTENT


def test_without_a_network_the_message_mentions_a_wrong_cached_file(nobody: str, tmp_path: Path) -> None:
    file = file_of(nobody, tmp_path / "short.tsv")
    file.path.write_bytes(ANOTHER)
    assert refusal(file).endswith(", replacing the file there")


@pytest.mark.parametrize("place", ["file", "folder", "nowhere"])
def test_an_unusable_cache_is_reported_in_one_line(upstream: Upstream, tmp_path: Path, place: str) -> None:
    cache = tmp_path / "cache"
    if place == "file":
        cache.write_text("not a folder")
    elif place == "folder":
        (cache / "short.tsv").mkdir(parents=True)
    else:
        cache.symlink_to(tmp_path / "gone" / "gone")
    message = refusal(file_of(upstream.url, cache / "short.tsv"))
    assert "set TOPICNET_CACHE to a writable folder" in message
    assert "--out" not in message
    assert upstream.asked == 0  # detected before the download


def test_ctrl_c_leaves_no_partial_file(upstream: Upstream, tmp_path: Path) -> None:
    upstream.hangs = True
    path = tmp_path / "cache" / "short.tsv"
    script = (
        "import pathlib, signal, polars\n"  # polars makes system calls restart after a signal
        "from topicnet.text.readers.download import CachedDownload\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # background processes ignore SIGINT
        f"CachedDownload('short', {upstream.url!r}, '0' * 64, pathlib.Path({str(path)!r})).content()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, env=os.environ) as child:
        assert upstream.half_sent.wait(60)
        assert len(list(path.parent.iterdir())) == 1  # the temporary file next to the target
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=20)
    assert child.returncode == -signal.SIGINT
    assert said.endswith(b"KeyboardInterrupt\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"TOPICNET_CACHE": "/a/b", "XDG_CACHE_HOME": "/x"}, "/a/b"),
        ({"TOPICNET_CACHE": "~/kept"}, "/home/somebody/kept"),
        ({"TOPICNET_CACHE": "", "XDG_CACHE_HOME": "/x"}, "/x/topicnet"),
        ({"XDG_CACHE_HOME": ""}, "/home/somebody/.cache/topicnet"),
        ({"XDG_CACHE_HOME": "not/absolute"}, "/home/somebody/.cache/topicnet"),
        ({}, "/home/somebody/.cache/topicnet"),
    ],
)
def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], folder: str) -> None:
    for name in ("TOPICNET_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/home/somebody"} | environment).items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)


def test_a_relative_cache_is_named_in_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOPICNET_CACHE", "kept")
    assert cache_folder() == tmp_path / "kept"


def test_a_missing_home_folder_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("TOPICNET_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(CorpusError, match="set TOPICNET_CACHE to a folder"):
        cache_folder()
