"""Downloads from a hub that breaks off, lies, refuses or is not there."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.download import download
from infra.errors import BadConfiguration, DownloadCorrupt, MachineError
from tests.hub import Fault, Hub, deaf_port, hub

CONTENT = random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)
#: as many further tries as in earnest, without the waiting
AT_ONCE = (0.0, 0.0, 0.0, 0.0)


@pytest.fixture
def served() -> Iterator[Hub]:
    with hub() as serving:
        serving.files["/file"] = CONTENT
        yield serving


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.ckpt"


def part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def fetch(served: Hub, path: Path, size: int | None = SIZE) -> None:
    download(f"{served.url}/file", path, sha256=SHA256, size=size, pauses=AT_ONCE)


def ranges(served: Hub) -> list[str | None]:
    return [asked for _, asked in served.requests]


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_file_arrives_whole_and_leaves_no_trace(served: Hub, path: Path, size: int | None) -> None:
    reports: list[int] = []
    download(f"{served.url}/file", path, sha256=SHA256, size=size, report=reports.append)

    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert reports == sorted(reports)
    assert (reports[0], reports[-1]) == (0, SIZE)


def test_a_broken_transfer_goes_on_where_it_broke_off(served: Hub, path: Path) -> None:
    served.faults += [Fault(cut=100_000), Fault(cut=50_000)]
    fetch(served, path)

    assert path.read_bytes() == CONTENT
    assert ranges(served) == [None, "bytes=100000-", "bytes=150000-"]


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, SIZE), max_size=4), known=st.booleans())
def test_however_the_connection_breaks_the_file_is_right(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], known: bool
) -> None:
    path = tmp_path_factory.mktemp("cuts") / "model.ckpt"
    with hub() as serving:
        serving.files["/file"] = CONTENT
        serving.faults += [Fault(cut=cut) for cut in cuts]
        fetch(serving, path, SIZE if known else None)
    assert path.read_bytes() == CONTENT


def test_what_an_earlier_process_has_left_is_not_fetched_again(served: Hub, path: Path) -> None:
    part_of(path).write_bytes(CONTENT[:200_000])
    fetch(served, path)

    assert path.read_bytes() == CONTENT
    assert ranges(served) == ["bytes=200000-"]


def test_a_part_that_is_whole_needs_no_network(served: Hub, path: Path) -> None:
    part_of(path).write_bytes(CONTENT)
    fetch(served, path)

    assert path.read_bytes() == CONTENT
    assert served.requests == []


@pytest.mark.parametrize("size", [SIZE, None])
@pytest.mark.parametrize("left", [b"\0" * 1000, b"\0" * SIZE, b"\0" * (SIZE + 1)], ids=["some", "all", "more"])
def test_spoilt_bytes_of_an_earlier_process_are_fetched_anew(
    served: Hub, path: Path, left: bytes, size: int | None
) -> None:
    part_of(path).write_bytes(left)
    fetch(served, path, size)

    assert path.read_bytes() == CONTENT
    assert ranges(served)[-1] is None


def test_a_server_without_ranges_sends_it_all_again(served: Hub, path: Path) -> None:
    served.faults += [Fault(cut=100_000), Fault(no_ranges=True)]
    fetch(served, path)
    assert path.read_bytes() == CONTENT


def test_a_range_that_was_not_asked_for_is_not_used(served: Hub, path: Path) -> None:
    served.faults += [Fault(cut=100_000), Fault(shift=7)]
    fetch(served, path)

    assert path.read_bytes() == CONTENT
    assert ranges(served) == [None, "bytes=100000-", None]


def test_an_end_that_comes_early_is_no_end(served: Hub, path: Path) -> None:
    served.faults.append(Fault(cut=100_000, no_length=True))
    fetch(served, path)

    assert path.read_bytes() == CONTENT
    assert ranges(served) == [None, "bytes=100000-"]


def test_another_file_of_the_same_size_is_refused_and_not_kept(served: Hub, path: Path) -> None:
    wrong = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    served.files["/file"] = wrong
    with pytest.raises(DownloadCorrupt, match=f"SHA-256 {hashlib.sha256(wrong).hexdigest()}, not {SHA256}"):
        fetch(served, path)

    assert list(path.parent.iterdir()) == []
    assert len(served.requests) == 1


def test_a_login_page_is_refused_by_its_size_and_spoils_nothing(served: Hub, path: Path) -> None:
    part_of(path).write_bytes(CONTENT[:1000])
    served.files["/file"] = b"<html>Please log in</html>"
    served.faults.append(Fault(no_ranges=True))
    with pytest.raises(DownloadCorrupt, match=r"offers 26 bytes as model\.ckpt; 300,000 were published"):
        fetch(served, path)

    assert part_of(path).read_bytes() == CONTENT[:1000]
    assert not path.exists()


def test_a_stream_longer_than_the_file_is_cut_off_and_refused(served: Hub, path: Path) -> None:
    served.files["/file"] = CONTENT + bytes(50_000_000)
    served.faults.append(Fault(no_length=True))
    reports: list[int] = []
    with pytest.raises(DownloadCorrupt):
        download(f"{served.url}/file", path, sha256=SHA256, size=SIZE, report=reports.append)

    assert max(reports) < 5_000_000
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(("status", "says"), [(404, "404 Not Found"), (403, "403 Forbidden.*firewall")])
def test_a_refusal_is_told_at_once(served: Hub, path: Path, status: int, says: str) -> None:
    served.faults.append(Fault(status=status))
    with pytest.raises(MachineError, match=f"127.0.0.1 answers {says}"):
        fetch(served, path)

    assert len(served.requests) == 1
    assert list(path.parent.iterdir()) == []


def test_a_server_in_trouble_is_asked_again(served: Hub, path: Path) -> None:
    served.faults += [Fault(status=500), Fault(status=503), Fault(status=429)]
    fetch(served, path)
    assert path.read_bytes() == CONTENT


def test_a_server_that_stays_in_trouble_is_given_up(served: Hub, path: Path) -> None:
    served.faults += [Fault(status=500)] * 100
    with pytest.raises(MachineError, match=r"answers 500 .* Try again later; or download"):
        fetch(served, path)
    assert len(served.requests) == 1 + len(AT_ONCE)


def test_a_connection_that_always_breaks_is_given_up_and_what_came_is_kept(served: Hub, path: Path) -> None:
    served.faults += [Fault(cut=75_000)] + [Fault(cut=0)] * 100
    with pytest.raises(MachineError, match=r"breaks off .* what has arrived \(25%\) is kept"):
        fetch(served, path)

    assert part_of(path).read_bytes() == CONTENT[:75_000]
    served.faults.clear()
    fetch(served, path)
    assert path.read_bytes() == CONTENT


def test_slow_progress_is_progress(served: Hub, path: Path) -> None:
    served.faults += [Fault(cut=10_000)] * 20
    fetch(served, path)
    assert path.read_bytes() == CONTENT
    assert len(served.requests) == 21


def test_who_is_offline_hears_it_at_once_with_what_to_do(path: Path) -> None:
    url = f"http://127.0.0.1:{deaf_port()}/file"
    with pytest.raises(MachineError, match=r"127\.0\.0\.1 cannot be reached") as told:
        download(url, path, sha256=SHA256, size=SIZE, pauses=(3600.0,))  # not waited for

    assert url in told.value.message
    assert str(path) in told.value.message
    assert list(path.parent.iterdir()) == []


def test_who_is_offline_keeps_what_came_earlier(path: Path) -> None:
    part_of(path).write_bytes(CONTENT[:150_000])
    with pytest.raises(MachineError, match=r"what has arrived \(50%\) is kept"):
        download(f"http://127.0.0.1:{deaf_port()}/file", path, sha256=SHA256, size=SIZE, pauses=(3600.0,))
    assert part_of(path).read_bytes() == CONTENT[:150_000]


def test_redirects_are_followed_with_the_range(served: Hub, path: Path) -> None:
    served.files = {"/store/1": CONTENT}
    part_of(path).write_bytes(CONTENT[:1000])
    served.faults.append(Fault(location="/store/1"))
    fetch(served, path)

    assert path.read_bytes() == CONTENT
    assert served.requests == [("/file", "bytes=1000-"), ("/store/1", "bytes=1000-")]


def test_the_host_that_is_blocked_is_the_one_that_is_named(served: Hub, path: Path) -> None:
    served.faults.append(Fault(location=f"http://localhost:{deaf_port()}/store/1"))
    with pytest.raises(MachineError, match="localhost cannot be reached"):
        fetch(served, path)


def test_a_proxy_is_mentioned_where_there_is_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{deaf_port()}")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(MachineError, match=r"hub\.invalid cannot be reached through the proxy of this shell"):
        download("http://hub.invalid/file", path, sha256=SHA256)


@pytest.mark.parametrize(
    "url", ["ftp://hub.invalid/file", "hub.invalid/file", "http://hub.invalid:port/file", "http:///file"]
)
def test_what_is_no_address_is_said_to_be_none(url: str, path: Path) -> None:
    with pytest.raises(BadConfiguration):
        download(url, path, sha256=SHA256)
    assert list(path.parent.iterdir()) == []


def test_settings_of_the_shell_that_cannot_be_used_are_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(path.with_name("missing.pem")))
    with pytest.raises(BadConfiguration, match="cannot be asked for with these settings"):
        download("https://hub.invalid/file", path, sha256=SHA256)


def test_a_folder_that_cannot_be_written_is_named(served: Hub, path: Path) -> None:
    part_of(path).mkdir()
    with pytest.raises(MachineError, match=r"model\.ckpt cannot be written"):
        fetch(served, path)


def test_a_disk_that_fills_up_ends_it_and_keeps_what_came(served: Hub, path: Path) -> None:
    script = (
        "import resource, sys; from pathlib import Path; from infra.download import download\n"
        "from infra.errors import MachineError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: download(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3])\n"
        "except MachineError as error: print(error.message)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, f"{served.url}/file", path, SHA256],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{path} cannot be written (File too large)." in told.stdout
    assert not path.exists()
    assert CONTENT.startswith(part_of(path).read_bytes())
