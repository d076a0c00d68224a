"""Tables from files, from addresses (a server on this machine) and from the layouts of well-known archives."""

import gzip
import hashlib
import http.server
import json
import threading
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from fedlab_nb.data import femnist, heart_disease, load, mnist, openml, wine
from fedlab_nb.data.loaders import store, tables
from fedlab_nb.data.loaders.heart import CENTRES
from fedlab_nb.data.partitioners import Natural
from fedlab_nb.errors import SchemaError, SettingError
from fedlab_nb.parties.split import split_rows
from tests.rounds.common import assert_teaches

MNIST = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist"
FATE = MNIST.parent / "fate" / "breast_homo_guest.csv"
WRONG = "0" * 64


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder of downloaded files: an empty one."""
    folder = tmp_path / "kept"
    monkeypatch.setenv(store.FOLDER_VARIABLE, str(folder))
    return folder


@pytest.fixture
def served(tmp_path):
    """A server on this machine: .url, the folder .root, and every path that was asked for in .asked."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        asked: ClassVar = []
        root = tmp_path / "served"

        def __init__(self, *args):
            super().__init__(*args, directory=str(self.root))

        def do_GET(self):
            self.asked.append(self.path)
            if self.path == "/cut.csv":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"a,b\n1,2\n")
            elif self.path == "/elsewhere.csv":
                self.send_response(302)
                self.send_header("Location", "ftp://127.0.0.1/table.csv")
                self.end_headers()
            else:
                super().do_GET()

        def log_message(self, *_):
            pass

    Handler.root.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    Handler.url = f"http://127.0.0.1:{server.server_port}"
    yield Handler
    server.shutdown()
    server.server_close()
    thread.join()


def written(folder, name="table.csv"):
    path = folder / name
    wine().to_csv(path, index=False) if name.endswith("csv") else wine().to_parquet(path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def leftovers(folder):
    return [path.name for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_a_file_is_read_with_its_checksum_and_target(tmp_path, name):
    path, digest = written(tmp_path, name)
    for given in (path, str(path)):
        frame = load(given, target="cultivar", sha256=digest.upper())
        assert np.array_equal(frame.iloc[:, :-1], wine().iloc[:, :-1])
        assert frame.attrs == {"source": str(path), "sha256": digest, "target": "cultivar"}
    assert split_rows(frame, owners=2)[0].target == "cultivar"


def test_an_address_is_asked_once_and_then_the_kept_file_is_read(kept, served):
    path, digest = written(served.root)
    url = f"{served.url}/table.csv?version=2"
    one = load(url, target="cultivar")
    path.unlink()
    again = load(url, sha256=one.attrs["sha256"])
    assert one.attrs["sha256"] == digest
    assert one.equals(again)
    assert served.asked == ["/table.csv?version=2"]
    assert leftovers(kept) == ["table.csv"]


def test_what_arrives_with_another_checksum_is_refused_and_not_kept(kept, served):
    _, digest = written(served.root)
    with pytest.raises(SchemaError) as caught:
        load(f"{served.url}/table.csv", sha256=WRONG)
    assert_teaches(caught, digest, WRONG)
    assert leftovers(kept) == []


def test_a_kept_file_that_was_damaged_is_downloaded_anew(kept, served):
    _, digest = written(served.root)
    load(f"{served.url}/table.csv")
    (place,) = kept.rglob("*.csv")
    place.write_text("a\n1\n")
    assert load(f"{served.url}/table.csv", sha256=digest).attrs["sha256"] == digest
    assert len(served.asked) == 2


def test_a_file_with_another_checksum_is_not_even_read(tmp_path):
    path = tmp_path / "table.parquet"
    path.write_bytes(b"not parquet at all")
    with pytest.raises(SchemaError, match="SHA-256") as caught:
        load(path, sha256=WRONG)
    assert_teaches(caught, WRONG)


@pytest.mark.parametrize("name", ["cut.csv", "absent.csv", "elsewhere.csv"])
def test_a_download_that_breaks_off_leaves_nothing_and_says_where_to_put_the_file(kept, served, name):
    with pytest.raises(SchemaError) as caught:
        load(f"{served.url}/{name}")
    assert_teaches(caught, f"{served.url}/{name}", kept, "browser")
    assert leftovers(kept) == []


def test_without_a_network_the_file_may_be_put_in_place_by_hand(kept, tmp_path):
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    port = server.server_port
    server.server_close()
    url = f"http://127.0.0.1:{port}/table.csv"
    with pytest.raises(SchemaError, match="offline") as caught:
        load(url)
    place = Path(caught.value.do.split("put it at ")[1].split(", and run")[0])
    written(tmp_path)[0].rename(place)
    assert len(load(url)) == len(wine())


@pytest.mark.parametrize(
    "address", ["http://example.org/a.csv", "ftp://example.org/a.csv", "file://localhost/a.csv", "https:///a.csv"]
)
def test_addresses_that_are_not_safe_are_refused_before_anything_is_sent(kept, address):
    with pytest.raises(SettingError) as caught:
        load(address)
    assert_teaches(caught, address, "https")
    assert not kept.exists()


def test_plain_http_is_taken_with_a_checksum(kept, monkeypatch):
    asked = []
    monkeypatch.setattr(store, "_download", lambda url, path, sha256: asked.append(url))
    with pytest.raises(SchemaError, match="does not exist"):
        load("http://example.org/a.csv", sha256=WRONG)
    assert asked == ["http://example.org/a.csv"]


@pytest.mark.parametrize(
    ("source", "settings"),
    [("table.xlsx", {}), (5, {}), (None, {}), ("table.csv", {"sha256": "abc"}), ("table.csv", {"sha256": 5})],
)
def test_what_cannot_be_a_table_is_refused(source, settings):
    with pytest.raises(SettingError) as caught:
        load(source, **settings)
    assert_teaches(caught)


def test_a_target_that_is_not_there_is_named_with_what_is(tmp_path):
    path, _ = written(tmp_path)
    with pytest.raises(SchemaError) as caught:
        load(path, target="colour")
    assert_teaches(caught, "'colour'", "'alcohol'")


def test_the_folder_of_downloads_is_the_named_one_or_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setenv(store.FOLDER_VARIABLE, str(tmp_path))
    assert store.folder() == tmp_path
    monkeypatch.delenv(store.FOLDER_VARIABLE)
    assert store.folder() == Path.home() / ".cache" / "fedlab_nb"


def test_openml_tells_the_target_and_its_table_is_kept(kept, served, monkeypatch):
    monkeypatch.setattr(tables, "OPENML", served.url + "/api/{id}")
    written(served.root, "table.pq")
    (served.root / "api").mkdir()
    facts = {
        "name": "wine",
        "licence": "CC BY 4.0",
        "parquet_url": f"{served.url}/table.pq",
        "default_target_attribute": "cultivar",
    }
    (served.root / "api" / "187").write_text(json.dumps({"data_set_description": facts}))
    frame = openml(187)
    assert frame.attrs["target"] == "cultivar"
    assert (frame.attrs["name"], frame.attrs["licence"]) == ("wine", "CC BY 4.0")
    assert openml(187, sha256=frame.attrs["sha256"], target="hue").attrs["target"] == "hue"
    assert served.asked == ["/api/187", "/table.pq"]


def test_openml_without_parquet_is_not_kept(kept, served, monkeypatch):
    monkeypatch.setattr(tables, "OPENML", served.url + "/{id}")
    (served.root / "3").write_text('{"data_set_description": {"name": "kr-vs-kp"}}')
    (served.root / "4").write_text("<html>busy</html>")
    for number in (3, 4):
        with pytest.raises(SchemaError, match="Parquet") as caught:
            openml(number)
        assert_teaches(caught, number)
    assert leftovers(kept) == []


@pytest.mark.parametrize("number", [0, -1, "iris", 6.5, True, None])
def test_openml_numbers_are_whole(number):
    with pytest.raises(SettingError) as caught:
        openml(number)
    assert_teaches(caught, "data_id")


def test_openml_addresses_without_s_are_asked_with_it():
    assert tables._safe("http://openml1.win.tue.nl/dataset61/dataset_61.pq").startswith("https://openml1.")
    assert tables._safe("https://data.openml.org/a.pq") == "https://data.openml.org/a.pq"


def heart_files(folder, seed=0):
    """Invented patients in the archive's layout, as many as the archive has; with question marks."""
    random = np.random.default_rng(seed)
    folder.mkdir()
    for name, (_, count) in CENTRES.items():
        rows = np.stack(
            [random.integers(*ends, count).astype(float) for ends in (
                (30, 80), (0, 2), (1, 5), (90, 200), (0, 400), (0, 2), (0, 3), (60, 200), (0, 2), (0, 6), (1, 4),
                (0, 4), (3, 4), (0, 5),
            )],
            axis=1,
        )  # fmt: skip
        lines = [[str(value) for value in row] for row in rows]
        for line in lines[::3]:
            line[11] = "?"
        (folder / name).write_text("\n".join(",".join(line) for line in lines) + "\n")
    return folder


def test_four_centres_become_one_table_in_words(tmp_path):
    frame = heart_disease(heart_files(tmp_path / "heart"))
    assert frame.shape == (920, 15)
    assert frame.groupby("centre").size().to_dict() == {
        "Cleveland": 303, "Hungary": 294, "Long Beach": 200, "Switzerland": 123,
    }  # fmt: skip
    assert set(frame["sex"]) == {"female", "male"}
    assert set(frame["chest_pain"]) == {"typical angina", "atypical angina", "other pain", "none"}
    assert frame["vessels"].isna().mean() == pytest.approx(1 / 3, abs=0.01)
    assert frame["disease"].eq("yes").mean() == pytest.approx(0.8, abs=0.05)
    assert [owner.name for owner in split_rows(frame, by=Natural("centre"))] == sorted(frame["centre"].unique())


def test_heart_files_that_are_others_are_refused(tmp_path):
    folder = heart_files(tmp_path / "heart")
    path = folder / "processed.va.data"
    whole = path.read_text()
    for text in (whole.replace("\n", "\n", 1)[:-50], whole.replace(",", ";"), "a,b\n", "", whole.replace(",", ",x,")):
        path.write_text(text)
        with pytest.raises(SchemaError) as caught:
            heart_disease(folder)
        assert_teaches(caught, "processed.va.data")
    path.unlink()
    with pytest.raises(SchemaError, match="There is no file") as caught:
        heart_disease(folder)
    assert_teaches(caught, "processed.va.data")


def images(count, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 28, 28), dtype=np.uint8), random.integers(0, 10, count, dtype=np.uint8)


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    return head + array.tobytes()


def test_both_forms_of_mnist_give_the_same_table(tmp_path):
    x, y = images(20)
    (tmp_path / "idx").mkdir()
    (tmp_path / "idx" / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(x)))
    (tmp_path / "idx" / "t10k-labels-idx1-ubyte").write_bytes(idx(y))
    (tmp_path / "npz").mkdir()
    np.savez(tmp_path / "npz" / "mnist.npz", x_test=x, y_test=y, x_train=x[:3], y_train=y[:3])
    one, other = (mnist(tmp_path / form, part="test") for form in ("idx", "npz"))
    pd.testing.assert_frame_equal(one, other)
    assert np.array_equal(one["pixel_3_5"], x[:, 3, 5])
    assert one["digit"].tolist() == y.tolist()
    assert one.attrs["target"] == "digit"
    assert {str(kind) for kind in one.dtypes[:-1]} == {"uint8"}
    assert len(mnist(tmp_path / "npz")) == 3


def test_damaged_or_absent_mnist_is_told(tmp_path):
    x, y = images(5)
    with pytest.raises(SchemaError) as caught:
        mnist(tmp_path)
    assert_teaches(caught, "mnist.npz", "train-images-idx3-ubyte.gz")
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(y))
    for content in (b"", idx(x)[:-1], idx(x[:4]), idx(y), gzip.compress(idx(x))[:-9]):
        (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
        if content[:2] == b"\x1f\x8b":
            (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
        with pytest.raises(SchemaError) as caught:
            mnist(tmp_path)
        assert_teaches(caught)
    for content in (b"PK", b""):
        (tmp_path / "mnist.npz").write_bytes(content)
        with pytest.raises(SchemaError) as caught:
            mnist(tmp_path)
        assert_teaches(caught)
    with pytest.raises(SettingError) as caught:
        mnist(tmp_path, part="validation")
    assert_teaches(caught, "part")


def test_mnist_is_downloaded_with_its_checksum_where_no_folder_is_named(kept, monkeypatch):
    asked = []

    def fetched(url, sha256):
        asked.append((url[:8], sha256))
        np.savez(kept.parent / "mnist.npz", **dict(zip(("x_train", "y_train"), images(4), strict=True)))
        return kept.parent / "mnist.npz"

    monkeypatch.setattr("fedlab_nb.data.loaders.images.fetched", fetched)
    assert len(mnist()) == 4
    assert asked == [("https://", "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1")]


@pytest.mark.skipif(not (MNIST / "mnist.npz").is_file(), reason="MNIST is not here")
def test_the_real_mnist_has_the_known_labels():
    test = mnist(MNIST, part="test")
    assert test.groupby("digit").size().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert test["digit"].iloc[:5].tolist() == [7, 2, 1, 0, 4]
    assert test.iloc[:, :-1].max().max() == 255


@pytest.mark.skipif(not FATE.is_file(), reason="FATE's breast_homo files are not here")
def test_a_table_of_fate_is_loaded_as_it_is():
    frame = load(FATE, target="y")
    assert frame.shape == (227, 32)
    assert frame.attrs["target"] == "y"


def test_writers_of_femnist_become_owners(tmp_path):
    def writer(count, first):
        return {"x": [[0.5] * 784] * count, "y": [first, *[61] * (count - 1)]}

    for number, users in enumerate(
        ({"f0001_41": writer(3, 0), "f0002_07": writer(2, 10)}, {"f0003_11": writer(2, 36)})
    ):
        text = json.dumps({"users": list(users), "num_samples": [], "user_data": users})
        (tmp_path / f"all_data_{number}.json").write_text(text)
    frame = femnist(tmp_path)
    assert frame.shape == (7, 786)
    assert frame["character"].tolist() == ["0", "z", "z", "A", "z", "a", "z"]
    assert [len(part) for part in Natural("writer")(frame, 3, np.random.default_rng(0))] == [3, 2, 2]


@pytest.mark.parametrize("text", [None, "{", "[]", '{"user_data": []}', '{"user_data": {"a": {"x": [[1]], "y": [0]}}}',
                                  '{"user_data": {"a": {"y": [0]}}}'])  # fmt: skip
def test_what_is_not_leafs_is_told(tmp_path, text):
    if text is not None:
        (tmp_path / "all.json").write_text(text)
    with pytest.raises(SchemaError) as caught:
        femnist(tmp_path)
    assert_teaches(caught, tmp_path.name if text is None else "all.json")


def test_importing_the_loaders_opens_no_connection_and_loads_nothing_heavy():
    import subprocess
    import sys

    question = "import fedlab_nb.data, sys; print([n for n in ('pandas', 'ssl', 'scipy', 'torch') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
