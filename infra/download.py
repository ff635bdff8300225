"""One published file, fetched: resumed where it broke off, held against its SHA-256, put in place in one step.

The bytes go to ``<name>.part``, which outlives the process: the next try asks only for what is missing. The
file gets its name after its hash was found right, so that whatever bears that name is whole.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from infra.errors import BadConfiguration, DownloadCorrupt, DownloadFailed, MachineError
from infra.weights import Report

#: seconds before each further try; counted anew whenever bytes have arrived
PAUSES = (0.5, 2.0, 5.0, 10.0)
#: seconds to wait for a connection, and for the next bytes
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
#: no compression: a range of a compressed file is of no use
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "maquette"}
CHUNK_BYTES = 1 << 20
#: refusals that may be gone at the next try, besides 5xx: timeout, unsatisfiable range, too many requests
PASSING = (408, 416, 429)


def download(
    url: str,
    path: Path,
    *,
    sha256: str,
    size: int | None = None,
    report: Report = lambda done: None,
    pauses: Sequence[float] = PAUSES,
) -> None:
    """Fetch ``url`` into ``path``. Only one process at a time may do so; its folder must be there.

    Args:
        sha256: what the file must have, in hexadecimal; computed while it arrives.
        size: bytes, where they are known; a server that offers another number is refused at once.
        report: called with the number of bytes here, those of earlier tries included.
        pauses: seconds to wait before each further try.

    Raises:
        DownloadCorrupt: what arrives is not the published file.
        DownloadFailed: host out of reach, or a refusal; what has arrived is kept.
        MachineError: disk full; likewise.
        BadConfiguration: address or proxy are unusable.
    """
    try:
        with _client(url) as client, _part_of(path, report) as part:
            if part.sha256 != sha256 and part.size:
                _receive_rest(client, url, part, size, pauses)
                if part.sha256 != sha256:
                    part.restart()  # perhaps it was the bytes of earlier: once more without them
            if part.sha256 != sha256:
                _receive_rest(client, url, part, size, pauses)
            if part.sha256 != sha256:
                found = part.sha256
                part.restart()
                raise DownloadCorrupt(
                    f"{url} did not arrive as it was published: SHA-256 {found}, not {sha256}. "
                    "A mirror, or something on the way, serves another file."
                )
            part.finish()
    except OSError as error:
        raise MachineError(f"{path} cannot be written ({error.strerror}).") from error


class _Part:
    """``<name>.part``: the bytes that have arrived, and their hash."""

    def __init__(self, target: Path, report: Report) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._report = report
        self._file = self.path.open("a+b")
        self._forget()
        self._file.seek(0)
        while chunk := self._file.read(CHUNK_BYTES):
            self._count(chunk)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def append(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._count(chunk)

    def restart(self) -> None:
        self._file.truncate(0)
        self._forget()

    def finish(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self.path.replace(self.target)

    def close(self) -> None:
        self._file.close()
        if self.size == 0:
            self.path.unlink(missing_ok=True)

    def _forget(self) -> None:
        self._digest, self.size = hashlib.sha256(), 0
        self._report(0)

    def _count(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.size += len(chunk)
        self._report(self.size)


@contextmanager
def _part_of(target: Path, report: Report) -> Iterator[_Part]:
    part = _Part(target, report)
    try:
        yield part
    finally:
        part.close()


def _client(url: str) -> httpx.Client:
    try:
        address = httpx.URL(url)
        if address.scheme not in ("http", "https") or not address.host:
            raise BadConfiguration(f"{url} is not an http or https address.")
        return httpx.Client(follow_redirects=True, timeout=TIMEOUT, headers=HEADERS)
    except (httpx.InvalidURL, ValueError, ImportError, OSError) as error:
        # of the address itself, or of the proxy or certificates that the environment names
        raise BadConfiguration(f"{url} cannot be asked for with these settings ({error}).") from error


def _receive_rest(
    client: httpx.Client, url: str, part: _Part, size: int | None, pauses: Sequence[float]
) -> None:
    """Ask for what is missing, again and again while that helps."""
    failures, began = 0, part.size
    while True:
        before = part.size
        try:
            _receive(client, url, part, size)
        except httpx.HTTPError as error:
            failures = 1 if part.size > before else failures + 1
            # Who is offline should hear it now; in the middle of a transfer it may pass.
            offline = isinstance(error, httpx.ConnectError) and part.size == began
            if offline or failures > len(pauses) or not _may_pass(error):
                raise DownloadFailed(_what_went_wrong(error, url, part, size)) from error
            time.sleep(pauses[failures - 1])
        else:
            return


def _receive(client: httpx.Client, url: str, part: _Part, size: int | None) -> None:
    """One request for what is missing; returns when nothing is, raises ``httpx.HTTPError`` else."""
    if size is not None and part.size >= size:
        part.restart()  # all there, and wrong
    headers = {"Range": f"bytes={part.size}-"} if part.size else {}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.restart()
        response.raise_for_status()
        start, whole = _extent(response)
        if size is not None and whole not in (None, size):
            raise DownloadCorrupt(
                f"{response.url.host} offers {whole:,} bytes as {part.target.name}; {size:,} were published. "
                "A proxy or a login page may have answered in its place."
            )
        if start != part.size:
            part.restart()  # the server has no ranges, or others than we ask for
        if start != part.size:
            raise httpx.RemoteProtocolError(f"an answer from byte {start}", request=response.request)
        for chunk in response.iter_raw():  # as it comes, so that nothing is lost when it breaks
            part.append(chunk)
            if size is not None and part.size > size:
                break
        if size is not None and part.size < size:
            raise httpx.RemoteProtocolError("the answer ended early", request=response.request)


def _extent(response: httpx.Response) -> tuple[int, int | None]:
    """The first byte of the answer, and the size of the whole file where the server tells it."""
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        told = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if told is None:
            return -1, None
        return int(told[1]), None if told[2] == "*" else int(told[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _may_pass(error: httpx.HTTPError) -> bool:
    """Whether another try makes sense."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error or error.response.status_code in PASSING
    return True


def _what_went_wrong(error: httpx.HTTPError, url: str, part: _Part, size: int | None) -> str:
    """Which host, why, and what to do."""
    host = error.request.url.host  # behind redirects, another than the url's
    reason = re.sub(r"^\[[^]]*\] ", "", str(error)).rstrip(".") or type(error).__name__
    if isinstance(error, httpx.HTTPStatusError):
        what = f"{host} answers {error.response.status_code} {error.response.reason_phrase} to {url}."
        if error.response.status_code in (401, 403, 407):
            what += " A proxy or a firewall may stand in between."
    elif isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        through = " through the proxy of this shell" if _goes_through_proxy(error.request.url) else ""
        what = f"{host} cannot be reached{through} ({reason})."
    else:
        what = f"The connection to {host} breaks off ({reason})."
    share = f" ({part.size / size:.0%})" if size else ""
    kept = f"; what has arrived{share} is kept" if part.size else ""
    return (
        f"{what} Try again later{kept}; or download {url} on another machine, "
        f"copy it to {part.target} and run this again."
    )


def _goes_through_proxy(url: httpx.URL) -> bool:
    proxies = urllib.request.getproxies()
    return bool({url.scheme, "all"} & proxies.keys()) and not urllib.request.proxy_bypass(url.host)
