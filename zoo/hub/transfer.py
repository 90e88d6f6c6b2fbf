"""One file from a folder or a web server: all of it as recorded, or the reason why not.

The library `pooch` was considered for this. It cannot resume an interrupted download, has no limit
for a server that never stops sending or sends a byte now and then, and gives up a file at its first
mirror; its hashes and cache are needed here for a whole folder at once. For `hf://`,
`huggingface_hub` does all of this (`zoo.hub.hugging_face`).
"""

import pathlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from zoo.hub import package

# Seconds to connect and to wait for the next bytes; how often one file is asked of one server.
TIMEOUT = (10.0, 30.0)
# Bytes a second; a server that sends less, if only a byte now and then, has stalled.
SLOWEST = 1000
ATTEMPTS = 3
PAUSE = 1.0


Answer = TypeVar("Answer")


class Unavailable(Exception):
    """Why one place did not give one file."""


class _Again(Exception):
    """Why an attempt failed, after which the next may not."""


def copy(path: pathlib.Path, target: pathlib.Path, expected: Mapping[str, Any]) -> None:
    """Copies a file that is as expected.

    Raises:
        Unavailable: it is not.
        OSError: `target` cannot be written.
    """
    if fault := package.fault(path, expected):
        raise Unavailable(fault)
    shutil.copyfile(path, target)
    # Read again: the source may be written to meanwhile.
    if fault := package.fault(target, expected):
        target.unlink()
        raise Unavailable(fault)


def text(address: str, limit: int) -> bytes:
    """What an address answers, `limit` bytes at most.

    Raises:
        Unavailable: it answers nothing, or more.
    """
    import requests

    def attempt() -> bytes:
        answer = b""
        with requests.Session() as session, _get(session, address) as response:
            response.raise_for_status()
            for chunk in _chunks(response):
                answer += chunk
                if len(answer) > limit:
                    raise Unavailable(f"it sends more than {limit} bytes")
        return answer

    return _persist(attempt)


def download(session: Any, address: str, target: pathlib.Path, expected: Mapping[str, Any]) -> None:
    """Downloads one file, resuming from what `target` already holds where the server can.

    Raises:
        Unavailable: the server does not give it as expected.
        OSError: `target` cannot be written.
    """

    def attempt() -> None:
        resumed = _resume_at(target, expected["size"]) > 0
        _receive(session, address, target, expected["size"])
        fault = package.fault(target, expected)
        if fault is None:
            return
        if target.stat().st_size >= expected["size"]:
            target.unlink()
            fault = "the content is not what the registry recorded"
            # What an earlier mirror or process left may be the altered part.
            if not resumed:
                raise Unavailable(fault)
        raise _Again(fault)

    try:
        _persist(attempt)
    except Unavailable as error:
        raise Unavailable(f"{target.name}: {error}") from None


def _persist(attempt: Callable[[], Answer]) -> Answer:
    """The result of an attempt that is made again while there is hope."""
    import requests

    for left in reversed(range(ATTEMPTS)):
        try:
            return attempt()
        except _Again as error:
            reason, hope = str(error), True
        except requests.RequestException as error:
            reason, hope = _reason(error)
        if not (left and hope):
            raise Unavailable(reason)
        time.sleep(PAUSE)
    raise AssertionError("there is one attempt at least")


def _reason(error: Any) -> tuple[str, bool]:
    """What went wrong, and whether it may not the next time."""
    import requests

    if isinstance(error, requests.HTTPError):
        status = error.response.status_code
        return f"HTTP {status}", status >= 500 or status == requests.codes.too_many_requests
    late = isinstance(error, requests.Timeout) or "timed out" in str(error)
    return (f"no answer within {TIMEOUT[1]:g} s" if late else "the connection failed"), True


def _resume_at(target: pathlib.Path, size: int) -> int:
    """How many bytes of a file can be kept; a file that cannot be a beginning is removed."""
    held = target.stat().st_size if target.exists() else 0
    if held >= size:
        target.unlink(missing_ok=True)
        return 0
    return held


def _get(session: Any, address: str, **headers: str) -> Any:
    # Ranges and sizes are those of the file, not of a compressed transfer.
    headers = {"Accept-Encoding": "identity", **headers}
    return session.get(address, headers=headers, stream=True, timeout=TIMEOUT)


def _receive(session: Any, address: str, target: pathlib.Path, size: int) -> None:
    """One request; appends to `target` if the server honours the range, else starts it again."""
    import requests
    from tqdm import tqdm

    held = _resume_at(target, size)
    with _get(session, address, **({"Range": f"bytes={held}-"} if held else {})) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            target.unlink()
            raise requests.ConnectionError("the range was refused")
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            held = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {held}-"):
            target.unlink(missing_ok=True)
            raise requests.ConnectionError("another range than asked for")
        offered = response.headers.get("Content-Length", "")
        encoded = "Content-Encoding" in response.headers
        if not encoded and offered.isdecimal() and int(offered) != size - held:
            raise Unavailable(f"{target.name}: {offered} bytes instead of {size - held}")
        bar = tqdm(
            total=size, initial=held, unit="B", unit_scale=True, desc=target.name, disable=None
        )
        with bar, open(target, "ab" if held else "wb") as file:
            for chunk in _chunks(response):
                file.write(chunk)
                bar.update(len(chunk))
                # A server may send without end.
                if file.tell() > size:
                    break


def _chunks(response: Any) -> Iterator[bytes]:
    """The content of a response as it comes.

    Raises:
        requests.Timeout: less than `SLOWEST` has come, on the average of the last `TIMEOUT`.
    """
    import requests
    import urllib3

    since, come = time.monotonic(), 0
    try:
        # Not `iter_content`, which waits for its chunk to be full however slowly it fills.
        while chunk := response.raw.read1(1 << 16, decode_content=True):
            yield chunk
            come += len(chunk)
            passed = time.monotonic() - since
            if passed > TIMEOUT[1]:
                if come < SLOWEST * passed:
                    raise requests.Timeout(f"{come} bytes in {passed:.0f} s")
                since, come = time.monotonic(), 0
    except urllib3.exceptions.TimeoutError as error:
        raise requests.Timeout(error) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(error) from error
