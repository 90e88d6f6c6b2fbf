"""Fetching from a real web server that truncates, corrupts, delays and loses files."""

import errno
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from zoo.hub import download, package, places, transfer

NAME, VERSION = "beta_vae/dsprites", "1.0.0"
ROOT = pathlib.Path(__file__).resolve().parents[2]
BIG = "variables/variables.data-00000-of-00001"


def cached():
    return places.kept(places.Folder(places.BUILT_IN)) / NAME / VERSION


def hidden():
    """What is left of an unfinished fetch."""
    return cached().with_name(f".{VERSION}.part")


def test_a_hub_that_is_a_folder_is_used_in_place(entry, tmp_path):
    path = download.fetch(NAME)
    assert path == places.BUILT_IN / NAME / VERSION
    package.check(path, entry.files)
    assert not (tmp_path / "cache").exists()


def test_what_is_damaged_in_place_is_fetched_to_the_cache(entry, tmp_path, monkeypatch):
    mirror = shutil.copytree(places.BUILT_IN, tmp_path / "mirror")
    (download.fetch(NAME) / "saved_model.pb").write_text("altered")
    with pytest.raises(download.FetchError, match="saved_model.pb is truncated.*the cache: "):
        download.fetch(NAME)
    monkeypatch.setenv("ZOO_MIRRORS", str(mirror))
    assert download.fetch(NAME) == cached()
    shutil.rmtree(mirror)
    assert download.fetch(NAME, VERSION) == cached() and not hidden().exists()


def test_a_web_mirror(entry, published, serve, monkeypatch):
    web = serve(published)
    monkeypatch.setenv("ZOO_MIRRORS", web.address + "/")
    package.check(download.fetch(NAME), entry.files)
    assert len(web.requests) == len(entry.files)
    download.fetch(NAME)
    assert len(web.requests) == len(entry.files), "the cache must serve the second time"


def test_mirrors_are_asked_in_order(entry, published, serve, monkeypatch, tmp_path):
    absent, first, second = serve(published, 404), serve(published), serve(published)
    addresses = [absent.address, str(tmp_path / "nowhere"), first.address, second.address]
    monkeypatch.setenv("ZOO_MIRRORS", " , ".join(addresses))
    package.check(download.fetch(NAME), entry.files)
    assert len(absent.requests) == 1, "a mirror without the first file is asked no further"
    assert len(first.requests) == len(entry.files) and not second.requests


def test_mirrors_come_before_the_hub(hub, serve, monkeypatch):
    own, mirror = serve(hub), serve(hub)
    monkeypatch.setenv("ZOO_HUB", own.address)
    monkeypatch.setenv("ZOO_MIRRORS", mirror.address)
    download.fetch(NAME)
    assert [path for path, _ in own.requests] == ["/registry.json"] and len(mirror.requests) > 1


def test_a_local_mirror(entry, published, monkeypatch):
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    monkeypatch.setenv("ZOO_MIRRORS", str(published))
    package.check(download.fetch(NAME), entry.files)


@pytest.mark.parametrize(
    "mode, said",
    [
        ("short", "bytes instead of"),
        ("corrupt", "not what the registry recorded"),
        ("endless", "not what the registry recorded"),
        ("late", "no answer within 0.5 s"),
        ("stuck", "no answer within 0.5 s"),
        ("drip", "no answer within 0.5 s"),
        ("bomb", "not what the registry recorded"),
        ("elsewhere", "bytes instead of"),
        (404, "HTTP 404"),
        (403, "HTTP 403"),
        (503, "HTTP 503"),
    ],
)
def test_a_bad_server_gives_the_whole_model_or_none(
    mode, said, entry, published, serve, monkeypatch, tmp_path
):
    web = serve(published, mode)
    monkeypatch.setenv("ZOO_MIRRORS", web.address)
    with pytest.raises(download.FetchError) as error:
        download.fetch(NAME)
    line = str(error.value)
    assert "\n" not in line and f"{NAME} {VERSION}" in line and web.address in line
    assert said in line
    assert not cached().exists()
    web.released.set()
    good = serve(published)
    monkeypatch.setenv("ZOO_MIRRORS", f"{web.address},{good.address}")
    package.check(download.fetch(NAME), entry.files)
    assert not hidden().exists()


def test_temporary_errors_are_tried_again_and_absences_are_not(
    entry, published, serve, monkeypatch
):
    for mode, asked in ((503, transfer.ATTEMPTS), (429, transfer.ATTEMPTS), (404, 1)):
        web = serve(published, mode)
        monkeypatch.setenv("ZOO_MIRRORS", web.address)
        with pytest.raises(download.FetchError):
            download.fetch(NAME)
        assert len(web.requests) == asked


def test_a_server_that_breaks_off_is_resumed(entry, published, serve, monkeypatch, tmp_path):
    web = serve(published, "cut")
    monkeypatch.setenv("ZOO_MIRRORS", web.address)
    package.check(download.fetch(NAME), entry.files)
    ranges = [asked for path, asked in web.requests if path.endswith("00001")]
    first, *rest = ranges
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in rest]
    assert first is None and starts == sorted(set(starts)) and starts[0] > 500_000


@pytest.mark.parametrize("mode", ["ok", "no_range", "other_range"])
def test_what_another_mirror_left_is_used_or_overcome(
    mode, entry, published, serve, monkeypatch, tmp_path
):
    part = hidden() / BIG
    part.parent.mkdir(parents=True)
    whole = (published / NAME / VERSION / BIG).read_bytes()
    web = serve(published, mode)
    monkeypatch.setenv("ZOO_MIRRORS", web.address)
    for left in (whole[:70_000], bytes(70_000), whole + b"x", bytes(len(whole))):
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(left)
        web.requests.clear()
        package.check(download.fetch(NAME), entry.files)
        ranges = [asked for path, asked in web.requests if path.endswith("00001")]
        assert ranges[0] == (f"bytes={len(left)}-" if len(left) < len(whole) else None)
        if mode == "ok" and left == whole[:70_000]:
            assert len(ranges) == 1, "a good beginning is not downloaded again"
        shutil.rmtree(cached())


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: (d / BIG).write_bytes((d / BIG).read_bytes()[:1000]),
        lambda d: (d / BIG).write_bytes(bytes((d / BIG).stat().st_size)),
        lambda d: (d / "card.json").write_text("{}"),
        lambda d: (d / "saved_model.pb").unlink(),
        lambda d: (d / "saved_model.cpb").write_text("stray"),
    ],
)
def test_a_damaged_cache_is_fetched_again_with_a_line(
    damage, entry, serve, monkeypatch, tmp_path, caplog, published
):
    web = serve(published)
    monkeypatch.setenv("ZOO_MIRRORS", web.address)
    damage(download.fetch(NAME))
    web.requests.clear()
    package.check(download.fetch(NAME), entry.files)
    (record,) = caplog.records
    assert "fetching it again" in record.getMessage()
    assert len({path for path, _ in web.requests}) <= 1, "intact files are kept"

    damage(cached())
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    if (cached() / "saved_model.cpb").exists():
        # Everything else is there.
        package.check(download.fetch(NAME), entry.files)
        return
    with pytest.raises(download.FetchError, match="the cache: .*ZOO_OFFLINE"):
        download.fetch(NAME)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("relative", [BIG, "variables", "saved_model.pb", "."])
def test_a_link_out_of_the_cache_is_replaced_and_not_written_through(
    relative, there, entry, published, tmp_path, monkeypatch
):
    monkeypatch.setenv("ZOO_MIRRORS", str(published))
    path, outside = download.fetch(NAME) / relative, tmp_path / "outside"
    shutil.move(path, outside)
    path.symlink_to(outside)
    if there:
        # A sound copy outside would be a sound cache, were it not outside.
        (outside / "strange" if outside.is_dir() else outside).write_text("not the model's")
    else:
        (shutil.rmtree if outside.is_dir() else os.unlink)(outside)
    for _ in range(2):
        package.check(download.fetch(NAME), entry.files)
    assert not path.is_symlink()
    if there and outside.is_file():
        assert outside.read_text() == "not the model's"


def test_a_folder_for_a_file_and_a_file_for_a_folder_are_replaced(entry, published, monkeypatch):
    monkeypatch.setenv("ZOO_MIRRORS", str(published))
    folder = download.fetch(NAME)
    (folder / "saved_model.pb").unlink()
    (folder / "saved_model.pb").mkdir()
    package.check(download.fetch(NAME), entry.files)
    shutil.rmtree(folder)
    folder.write_text("a file")
    package.check(download.fetch(NAME), entry.files)


def test_offline_asks_no_server(entry, published, serve, monkeypatch):
    web = serve(published)
    monkeypatch.setenv("ZOO_MIRRORS", web.address)
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with pytest.raises(download.FetchError, match="not asked, ZOO_OFFLINE is set"):
        download.fetch(NAME)
    assert not web.requests
    monkeypatch.setenv("ZOO_OFFLINE", "0")
    download.fetch(NAME)
    assert web.requests


def test_a_dead_server_and_a_password(entry, published, monkeypatch):
    monkeypatch.setenv("ZOO_MIRRORS", f"http://user:secret@127.0.0.1:1/x,{published}")
    download.fetch(NAME)
    shutil.rmtree(os.environ["ZOO_CACHE"])
    monkeypatch.setenv("ZOO_MIRRORS", "http://user:secret@127.0.0.1:1/x")
    with pytest.raises(download.FetchError, match="http://127.0.0.1:1/x") as error:
        download.fetch(NAME)
    assert "secret" not in str(error.value) and "connection failed" in str(error.value)


def test_an_odd_mirror_is_refused(entry, published, monkeypatch):
    monkeypatch.setenv("ZOO_MIRRORS", "ftp://somewhere/x")
    with pytest.raises(places.RegistryError, match="ZOO_MIRRORS: 'ftp://somewhere/x' is neither"):
        download.fetch(NAME)


def test_a_full_disk_is_one_line_and_leaves_nothing(entry, published, monkeypatch):
    def full(source, target):
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("ZOO_MIRRORS", str(published))
    monkeypatch.setattr(transfer.shutil, "copyfile", full)
    with pytest.raises(
        download.FetchError, match=r"No space left on device; make room or set ZOO_"
    ):
        download.fetch(NAME)
    assert not cached().exists() and not hidden().exists()


def test_an_unwritable_cache_is_one_line(entry, published, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file"))
    with pytest.raises(download.FetchError, match="cannot write .*ZOO_CACHE"):
        download.fetch(NAME)


def start_fetching(log=subprocess.PIPE):
    """Another process that fetches the model with this process's environment and registry."""
    program = (
        "import pathlib\n"
        "from zoo.hub import download, places\n"
        f"places.BUILT_IN = pathlib.Path({str(places.BUILT_IN)!r})\n"
        f"print(download.fetch({NAME!r}))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=log
    )


def wait_until(condition, process):
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_processes_fetch_once(entry, published, serve, monkeypatch, tmp_path):
    web = serve(published, "stuck")
    monkeypatch.setenv("ZOO_MIRRORS", web.address)
    log = tmp_path / "log"
    with open(log, "ab") as file:
        processes = [start_fetching(file) for _ in range(2)]
    # One is in the middle of a download when the other finds the lock taken.
    waiting = f"waiting for another process that fetches {NAME}"
    wait_until(lambda: web.requests and waiting in log.read_text(), processes[0])
    web.released.set()
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0, log.read_text()
        assert out.decode().strip() == str(cached())
    package.check(cached(), entry.files)
    paths = [path for path, _ in web.requests]
    assert len(paths) == len(set(paths)) == len(entry.files)


def test_a_killed_download_leaves_no_model_and_is_resumed(
    entry, published, serve, monkeypatch, tmp_path
):
    web = serve(published, "stuck")
    monkeypatch.setenv("ZOO_MIRRORS", web.address)
    # All files but the large one are there, so that it is the one that hangs.
    for relative in set(entry.files) - {BIG}:
        (hidden() / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(published / NAME / VERSION / relative, hidden() / relative)
    process = start_fetching()
    part = hidden() / BIG
    wait_until(lambda: part.exists() and part.stat().st_size > 0, process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not cached().exists()
    held = part.stat().st_size
    web.mode = "ok"
    web.released.set()
    package.check(download.fetch(NAME), entry.files)
    assert web.requests[-1] == (f"/{NAME}/{VERSION}/{BIG}", f"bytes={held}-")
    assert len(web.requests) == 2
    names = {p.name for p in cached().parent.iterdir()}
    assert names <= {VERSION, f".{VERSION}.lock"}
