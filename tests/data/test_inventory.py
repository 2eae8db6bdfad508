"""What a folder holds and lacks; what can be fetched is fetched, verified, and put in its place."""

import functools
import hashlib
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from t2i_utils.data import inventory
from t2i_utils.data.inventory import BY_HAND, ORIGINALS, Original


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server with a small archive of jpg/ and a plain file, as the originals of the flowers."""
    there, photos = tmp_path / "server", tmp_path / "packed" / "jpg"
    there.mkdir(), photos.mkdir(parents=True)
    (photos / "image_00001.jpg").write_bytes(b"a photo")
    (tmp_path / "packed" / "README").write_text("beside")
    (there / "setid.mat").write_bytes(b"splits")
    with tarfile.open(there / "102flowers.tgz", "w:gz") as tar:
        tar.add(photos, "jpg")
        tar.add(tmp_path / "packed" / "README", "README")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=there))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"

    def original(name, inside, member=""):
        digest = hashlib.sha256((there / name).read_bytes()).hexdigest()
        return Original(f"{url}/{name}?download=1", digest, inside, member)

    own = original("setid.mat", "setid.mat"), original("102flowers.tgz", "jpg", "jpg")
    monkeypatch.setitem(ORIGINALS, "flowers", own)
    yield there
    server.shutdown()


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_can_be_fetched_is_put_in_its_place_once(served, tmp_path):
    place = tmp_path / "new" / "flowers"
    assert [*inventory.fetch("flowers", place)] == [place / "setid.mat", place / "jpg"]
    assert names(place) == ["jpg/image_00001.jpg", "setid.mat"]
    for path in served.iterdir():
        path.unlink()
    assert [*inventory.fetch("flowers", place)] == []  # all is there: nothing is asked for


def test_another_file_than_the_published_one_is_refused(served, tmp_path):
    (served / "setid.mat").write_bytes(b"others")
    with pytest.raises(ValueError, match="setid.mat.*: found SHA-256 .*, expected .*removed"):
        list(inventory.fetch("flowers", tmp_path / "flowers"))
    assert names(tmp_path / "flowers") == []


def test_a_call_that_was_stopped_between_unpacking_and_renaming_goes_on(
    served, tmp_path, monkeypatch
):
    place = tmp_path / "flowers"
    rename = inventory.os.rename

    def stopped(source, goal):
        if str(goal) == str(place / "jpg"):
            raise KeyboardInterrupt
        rename(source, goal)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(inventory.os, "rename", stopped)
        list(inventory.fetch("flowers", place))
    assert [*inventory.fetch("flowers", place)] == [place / "jpg"]
    assert names(place) == ["jpg/image_00001.jpg", "setid.mat"]


@pytest.mark.parametrize("dataset", ["embeddings", "folder"])
def test_what_no_program_can_fetch_is_said_with_its_steps(dataset, tmp_path):
    with pytest.raises(ValueError, match=f"fetch: found {dataset}, expected one of flowers, birds"):
        list(inventory.fetch(dataset, tmp_path))


def test_the_originals_are_published_files_with_a_digest():
    assert set(ORIGINALS) == {"flowers", "birds"} and set(BY_HAND) >= set(ORIGINALS)
    for original in (o for own in ORIGINALS.values() for o in own):
        assert original.url.startswith("https://") and len(original.sha256) == 64


def test_real_flowers_are_whole(flowers_dir):
    lines, whole = inventory.look("flowers", flowers_dir)
    assert whole and not any("lacks" in line for line in lines)
    assert lines[-1].startswith("whole: 8,189 photos of 102 classes, 10 sentences each (train ")


def test_the_digests_are_those_of_the_files_that_are_there(flowers_dir):
    for original in ORIGINALS["flowers"][:2]:
        content = (flowers_dir / original.inside).read_bytes()
        assert hashlib.sha256(content).hexdigest() == original.sha256
