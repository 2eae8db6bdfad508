"""Archives: fetched whole or resumed, verified, unpacked whole or not at all."""

import errno
import gzip
import hashlib
import io
import random
import re
import stat
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from t2i_utils.data.archives import extract, fetch

BODY = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(300_000)  # as long, so that a resumed one mixes the two
FILES = {"birds/README": b"two birds", "birds/images/1.jpg": BODY[:3000], "birds/empty": b""}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def listing(folder):
    """Every file and folder below `folder`, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in folder.rglob("*")}


# Fetching

class Server(ThreadingHTTPServer):
    """Serves `body`, in the way that it is told; `asked` has the Range of each request."""

    daemon_threads = True
    body, drop_after, stall_after, ranges, length, content_range = BODY, None, None, True, True, ""

    def handle_error(self, request, client_address):
        pass  # a client that goes away is what is tested


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server, wanted = self.server, self.headers["Range"]
        server.asked.append(wanted)
        if self.path == "/missing":
            return self.send_error(404)
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved/"))
            return self.end_headers()
        body, total = server.body, len(server.body)
        if wanted and server.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= total:
                return self.send_error(416)
            body = body[start:]
            self.send_response(206)
            given = server.content_range or f"bytes {start}-{total - 1}/{total}"
            self.send_header("Content-Range", given)
        else:
            self.send_response(200)
        if server.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = server.stall_after if server.drop_after is None else server.drop_after
        self.wfile.write(body[:cut])
        if server.stall_after is not None:
            server.go_on.wait(10)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked, server.go_on = [], threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}/birds.tgz"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "birds.tgz"


@pytest.fixture
def part(path):
    return path.with_name("birds.tgz.part")


def drop(server, path, after=100_000):
    """A first try that breaks off after so many bytes."""
    server.drop_after = after
    with pytest.raises(ConnectionError):
        fetch(server.url, path, sha256(BODY))
    server.drop_after = None
    server.asked.clear()


def test_a_file_is_fetched_whole(server, path):
    assert fetch(server.url, str(path), sha256(BODY)) == path
    assert listing(path.parent) == {"birds.tgz": BODY} and server.asked == [None]


@pytest.mark.parametrize("length", [True, False])
def test_a_file_that_is_there_needs_no_network(server, path, length):
    server.length = length  # without one, only the hash tells that the download is whole
    for _ in range(2):
        assert fetch(server.url, path, sha256(BODY)) == path
    assert len(server.asked) == 1


def test_a_broken_transfer_says_how_far_it_came(server, path, part):
    server.drop_after = 100_000
    with pytest.raises(ConnectionError) as error:
        fetch(server.url, path, sha256(BODY))
    for words in (server.url, "100,000 of 300,000 bytes", str(part), "calling again resumes"):
        assert words in str(error.value)
    assert listing(path.parent) == {"birds.tgz.part": BODY[:100_000]}


def test_only_the_rest_is_asked_for(server, path):
    drop(server, path)
    server.drop_after = 50_000
    with pytest.raises(ConnectionError, match="; 150,000 of 300,000 bytes are in "):
        fetch(server.url, path, sha256(BODY))
    server.drop_after = None
    assert fetch(server.url, path, sha256(BODY)) == path
    assert server.asked == ["bytes=100000-", "bytes=150000-"]
    assert listing(path.parent) == {"birds.tgz": BODY}


def test_a_stalled_transfer_is_resumed(server, path, part):
    server.stall_after = 65_536
    with pytest.raises(ConnectionError, match="timed out; .* of 300,000 bytes"):
        fetch(server.url, path, sha256(BODY), timeout=0.1)
    server.stall_after = None
    server.go_on.set()
    there = part.stat().st_size
    assert fetch(server.url, path, sha256(BODY)).read_bytes() == BODY
    assert server.asked == [None, f"bytes={there}-" if there else None]


def test_a_redirect_is_asked_for_the_rest_too(server, path):
    drop(server, path)
    url = server.url.replace("birds.tgz", f"moved/{server.url}")
    assert fetch(url, path, sha256(BODY)).read_bytes() == BODY
    assert server.asked == ["bytes=100000-"] * 2


def test_a_server_that_ignores_ranges_is_asked_once(server, path):
    drop(server, path)
    server.ranges = False
    assert fetch(server.url, path, sha256(BODY)).read_bytes() == BODY
    assert server.asked == ["bytes=100000-"]


@pytest.mark.parametrize("given", ["bytes 0-299999/300000", "bytes 1000000-1/2", "nonsense"])
def test_another_range_than_asked_starts_afresh(server, path, given):
    drop(server, path)
    server.content_range = given
    assert fetch(server.url, path, sha256(BODY)).read_bytes() == BODY
    assert server.asked == ["bytes=100000-", None]


def test_a_part_longer_than_the_file_starts_afresh(server, path):
    drop(server, path)
    server.body = OTHER[:5000]
    assert fetch(server.url, path, sha256(server.body)).read_bytes() == OTHER[:5000]
    assert server.asked == ["bytes=100000-", None]


def test_a_part_that_is_whole_needs_no_network(server, path, part):
    path.parent.mkdir()
    part.write_bytes(BODY)
    assert fetch(server.url, path, sha256(BODY)).read_bytes() == BODY
    assert listing(path.parent) == {"birds.tgz": BODY} and server.asked == []


def test_a_file_that_changed_between_two_tries_is_fetched_afresh(server, path):
    drop(server, path)
    server.body = OTHER
    mixed = sha256(BODY[:100_000] + OTHER[100_000:])
    with pytest.raises(ValueError) as error:
        fetch(server.url, path, sha256(OTHER))
    for words in (server.url, f"found SHA-256 {mixed}", f"expected {sha256(OTHER)}"):
        assert words in str(error.value)
    assert listing(path.parent) == {}
    assert fetch(server.url, path, sha256(OTHER)).read_bytes() == OTHER
    assert server.asked == ["bytes=100000-", None]


@pytest.mark.parametrize("cut", [None, 100_000])
def test_a_wrong_hash_never_gets_the_name(server, path, cut):
    server.drop_after, server.length = cut, cut is None  # cut, and no length that could tell
    with pytest.raises(ValueError, match=f"SHA-256 {sha256(BODY[:cut])}, expected {'0' * 64}"):
        fetch(server.url, path, "0" * 64)
    assert listing(path.parent) == {}


def test_another_file_of_that_name_is_left_alone(server, path):
    path.parent.mkdir()
    path.write_bytes(b"mine")
    with pytest.raises(ValueError) as error:
        fetch(server.url, path, sha256(BODY))
    for words in (str(path), f"found SHA-256 {sha256(b'mine')}", f"expected {sha256(BODY)}"):
        assert words in str(error.value)
    assert listing(path.parent) == {"birds.tgz": b"mine"} and server.asked == []


def test_a_refusal_is_named_and_leaves_the_part_alone(server, path):
    drop(server, path)
    url = server.url.replace("birds.tgz", "missing")
    with pytest.raises(OSError, match=f"cannot fetch {url}: HTTP Error 404: Not Found") as error:
        fetch(url, path, sha256(BODY))
    assert not isinstance(error.value, ConnectionError)  # calling again would not help
    assert listing(path.parent) == {"birds.tgz.part": BODY[:100_000]}


def test_a_server_that_is_not_there_is_named(server, path):
    with Server(("127.0.0.1", 0), Handler) as closed:
        url = f"http://127.0.0.1:{closed.server_port}/birds.tgz"
    with pytest.raises(ConnectionError, match=f"{url}: ") as error:
        fetch(url, path, sha256(BODY))
    assert "resumes" not in str(error.value)  # nothing came
    assert not path.parent.exists()


@pytest.mark.parametrize("url", ["file:///birds.tgz", "ftp://127.0.0.1/birds.tgz", "birds.tgz"])
def test_other_urls_are_refused(server, path, url):
    with pytest.raises(ValueError, match=f"cannot fetch '{url}': expected a URL of http or https"):
        fetch(url, path, sha256(BODY))
    assert not path.parent.exists() and server.asked == []


def test_a_redirect_to_this_machines_files_is_refused(server, path, tmp_path):
    (tmp_path / "mine").write_bytes(BODY)
    url = server.url.replace("birds.tgz", f"moved/{(tmp_path / 'mine').as_uri()}")
    with pytest.raises(OSError, match=f"cannot fetch {url}: .*not allowed"):
        fetch(url, path, sha256(BODY))
    assert not path.parent.exists()


# Extracting

KINDS = ("tar", "tar.gz", "tgz", "zip")


def pack(path, members):
    """A .tar, .tar.gz, .tgz or .zip of files {name: content}, and of members made elsewhere."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                if isinstance(content, bytes):
                    file.writestr(name, content)
                else:  # the mode of a link or a device
                    info = zipfile.ZipInfo(name)
                    info.external_attr = (content | 0o644) << 16
                    file.writestr(info, b"../mine")
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:  # the type of a link or a device, and where it leads
                info.type, info.linkname = content
                tar.addfile(info)
    return path


def refused(archive, message):
    """That `extract` names the archive and what is wrong, and leaves everything as it was."""
    before = listing(archive.parent)
    with pytest.raises(ValueError, match=message) as error:
        extract(archive, archive.parent / "birds")
    assert str(archive) in str(error.value)
    assert listing(archive.parent) == before


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_is_unpacked(tmp_path, kind):
    archive = pack(tmp_path / f"birds.{kind}", FILES)
    folder = extract(str(archive), str(tmp_path / "all"))
    assert folder == tmp_path / "all" and archive.exists()
    assert {k: v for k, v in listing(folder).items() if v is not None} == FILES
    assert {path.name for path in tmp_path.iterdir()} == {archive.name, "all"}
    (tmp_path / "beside").mkdir()  # as open to others as any folder of the reader's
    assert folder.stat().st_mode == (tmp_path / "beside").stat().st_mode


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_is_there_is_left_alone(tmp_path, kind):
    archive = pack(tmp_path / f"birds.{kind}", FILES)
    (tmp_path / "all").mkdir()
    before = listing(tmp_path)
    with pytest.raises(FileExistsError, match="all is there already: .* to extract .*birds"):
        extract(archive, tmp_path / "all")
    assert listing(tmp_path) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["../evil", "birds/../../evil", "birds/../evil", "/evil",
                                  "..\\evil", "C:\\evil", "C:evil", "\\\\host\\share\\evil"])
def test_a_member_that_leads_out_is_named(tmp_path, kind, name):
    archive = pack(tmp_path / f"birds.{kind}", FILES | {name: b"evil", "last": b""})
    refused(archive, re.escape(f"member {name!r}: expected a relative path without '..'"))


@pytest.mark.parametrize("kind", ["tar", "tgz"])
@pytest.mark.parametrize("member", [
    (tarfile.SYMTYPE, "../../mine"), (tarfile.SYMTYPE, "/etc"), (tarfile.SYMTYPE, "birds/README"),
    (tarfile.LNKTYPE, "../../mine"), (tarfile.LNKTYPE, "/etc/hosts"), (tarfile.CHRTYPE, ""),
    (tarfile.BLKTYPE, ""), (tarfile.FIFOTYPE, "")])
def test_a_link_or_a_device_in_a_tar_is_named(tmp_path, kind, member):
    (tmp_path / "mine").write_bytes(b"mine")
    # A file written through the link would be the harm.
    archive = pack(tmp_path / f"birds.{kind}", FILES | {"evil": member, "evil/mine": b"evil"})
    refused(archive, "member 'evil': found a link or a device, expected a file")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
def test_a_link_or_a_device_in_a_zip_is_named(tmp_path, mode):
    archive = pack(tmp_path / "birds.zip", FILES | {"evil": mode})
    refused(archive, "member 'evil': found a link or a device, expected a file")


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_archive_is_named_wherever_it_ends(tmp_path, kind):
    archive = pack(tmp_path / f"birds.{kind}", FILES)
    whole = archive.read_bytes()
    # A tar ends with zeros, more of them than it needs: the cuts go as far as the first block.
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 512 if kind == "tar" else len(whole) - 1
    for cut in [*range(0, end, 509), *range(max(0, end - 10), end + 1)]:
        archive.write_bytes(whole[:cut])
        refused(archive, "truncated")


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_archive_is_named(tmp_path, kind):
    archive = pack(tmp_path / f"birds.{kind}", FILES)
    content = bytearray(archive.read_bytes())
    # A tar has no checksum of contents, so there it is the header of the second file.
    at = content.index(b"birds/images/1.jpg") if kind == "tar" else len(content) // 2
    content[at] ^= 1
    archive.write_bytes(content)
    refused(archive, "truncated, damaged or no archive")


def test_a_zip_that_cannot_be_inflated_is_named(tmp_path):
    archive = pack(tmp_path / "birds.zip", FILES)
    content = bytearray(archive.read_bytes())
    content[content.index(b"birds/README") + len("birds/README")] = 7  # no such kind of block
    archive.write_bytes(content)
    refused(archive, "truncated, damaged or no archive: Error -3")


def test_an_archive_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="birds.tgz"):
        extract(tmp_path / "birds.tgz", tmp_path / "birds")
    assert listing(tmp_path) == {}


# Hostile and odd members, by whatever name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [
    "", ".", "/".join("a" * 3000), "a" * 300, "é" * 200, "a/" + "b" * 256])
def test_a_member_that_no_disk_takes_is_named(tmp_path, kind, name):
    if kind == "zip" and not name:
        pytest.skip("zipfile writes none")
    refused(pack(tmp_path / f"birds.{kind}", FILES | {name: b"x"}), "truncated, damaged or no")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b"), ("a", "a/b/c/d")])
def test_a_file_and_a_folder_of_one_name_are_named(tmp_path, kind, names):
    archive = pack(tmp_path / f"birds.{kind}", dict.fromkeys(names, b"x"))
    refused(archive, "truncated, damaged or no archive: ")


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_the_folder_itself_may_be_a_member(tmp_path, kind):
    """As `tar -czf birds.tar.gz .` packs it."""
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "README").write_bytes(b"two birds")
    with tarfile.open(tmp_path / f"birds.{kind}", "w" if kind == "tar" else "w:gz") as tar:
        tar.add(tmp_path / "packed", ".")
    folder = extract(tmp_path / f"birds.{kind}", tmp_path / "all")
    assert listing(folder) == {"README": b"two birds"}


def test_an_encrypted_zip_and_an_unknown_method_are_named(tmp_path):
    archive = pack(tmp_path / "birds.ZIP", {})
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("README", b"two birds")
    content = bytearray(archive.read_bytes())
    directory = content.index(b"PK\x01\x02")
    for place in (6, directory + 8):
        content[place] |= 1
    archive.write_bytes(content)
    refused(archive, "no archive: .*encrypted")
    for place in (6, directory + 8):
        content[place] &= ~1
    for place in (8, directory + 10):
        content[place] = 99
    archive.write_bytes(content)
    refused(archive, "no archive: .*compression method")


@pytest.mark.parametrize("kind", ["xz", "bz2", "gz"])
def test_whatever_byte_is_changed_nothing_but_a_value_error_comes(tmp_path, kind):
    archive = tmp_path / f"birds.tar.{kind}"
    with tarfile.open(archive, f"w:{kind}") as tar:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    whole = archive.read_bytes()
    assert {k: v for k, v in listing(extract(archive, tmp_path / "all")).items() if v} == {
        k: v for k, v in FILES.items() if v}
    generator, found = random.Random(0), 0
    for i in range(60):
        changed = bytearray(whole)
        changed[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        archive.write_bytes(changed)
        try:
            extract(archive, tmp_path / f"all{i}")
        except ValueError as error:
            found += str(archive) in str(error)
    assert found > 50  # a bit of a date or of a name in the header changes nothing


@pytest.mark.parametrize("kind", ["tar.gz", "zip", "tar.xz"])
def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path, kind):
    archive, size = tmp_path / f"birds.{kind}", 90_000_000
    if kind == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a", bytes(size))
    else:
        with tarfile.open(archive, f"w:{kind[4:]}") as tar:
            info = tarfile.TarInfo("a")
            info.size = size
            tar.addfile(info, io.BytesIO(bytes(size)))
    refused(archive, r"found more than [\d,]+ bytes when unpacked, expected at most 67,108,864 and")


def test_an_archive_that_ends_in_far_too_many_zeros_is_refused(tmp_path):
    archive = pack(tmp_path / "birds.tgz", FILES)
    archive.write_bytes(archive.read_bytes() + gzip.compress(bytes(90_000_000)))
    refused(archive, "bytes when unpacked, expected at most")


# Full disks


def test_a_disk_that_is_too_small_for_a_download_is_told_at_once(server, disk):
    small = disk("1m")
    server.body = BODY * 10
    with pytest.raises(OSError, match="disk full: 3,000,000 bytes needed, .*resumes") as error:
        fetch(server.url, small / "birds.tgz", sha256(server.body))
    assert not isinstance(error.value, ConnectionError)
    assert listing(small) == {}


def test_a_disk_that_is_full_amid_a_download_keeps_what_came(server, disk):
    small = disk("1m")
    server.body, server.length = BODY * 10, False  # no length that would tell before
    with pytest.raises(OSError, match="disk full: .*what came is kept, calling again resumes") as e:
        fetch(server.url, small / "birds.tgz", sha256(server.body))
    assert not isinstance(e.value, ConnectionError) and e.value.errno == errno.ENOSPC
    [(name, content)] = listing(small).items()
    assert name == "birds.tgz.part" and content and server.body.startswith(content)


def test_a_disk_that_is_full_amid_unpacking_is_told_and_left_empty(disk, tmp_path):
    small = disk("1m")
    archive = pack(tmp_path / "birds.tgz", {"a": bytes(3_000_000)})
    with pytest.raises(OSError, match="disk full: ") as error:
        extract(archive, small / "all")
    assert error.value.errno == errno.ENOSPC and listing(small) == {}
