import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import ArchiveError
from hmer.ingest import archive
from hmer.ingest.archive import check_path, count_members, read_members, spread

FILES = {"a/x.inkml": b"1", "a/y.INKML": b"22", "b/z.inkml": b"", "a/readme.txt": b"no"}
WANTED = {name: data for name, data in FILES.items() if "readme" not in name}
HIDDEN = {"__MACOSX/a/x.inkml": b"?", "a/._x.inkml": b"?", ".cache/q.inkml": b"?"}


def tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as package:  # type: ignore[call-overload]
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            package.addfile(entry, io.BytesIO(data))
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in files.items():
            package.writestr(name, data)
    return path


def read(path: Path) -> dict[str, bytes]:
    return {member.name: member.data for member in read_members(path, ".inkml", "here")}


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("p.tar", "w"),
        ("p.tar.gz", "w:gz"),
        ("p.tgz", "w:gz"),
        ("p.tar.xz", "w:xz"),
        ("p.tar.bz2", "w:bz2"),
        ("p.tar.xz", "w:gz"),  # the content counts, not the name
    ],
)
def test_tar_packages(tmp_path: Path, name: str, mode: str) -> None:
    path = tar(tmp_path / name, FILES | HIDDEN, mode)
    assert read(path) == WANTED
    assert count_members([path], ".inkml") is None


def test_zip_package(tmp_path: Path) -> None:
    path = zipped(tmp_path / "p.zip", FILES | HIDDEN | {"empty/": b""})
    assert read(path) == WANTED
    assert count_members([path], ".inkml") == 3


def test_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    root = tmp_path / "ink"
    for name, data in reversed((FILES | HIDDEN).items()):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (tmp_path / "stored").write_bytes(b"linked")
    (root / "b" / "zz.inkml").symlink_to(tmp_path / "stored")  # as DVC's cache does
    (root / "b" / "loop").symlink_to(root)
    expected = {f"ink/{name}": data for name, data in WANTED.items()}
    assert read(root) == expected | {"ink/b/zz.inkml": b"linked"}
    assert list(read(root)) == sorted(read(root))
    assert count_members([root], ".inkml") == 4


def test_odd_files_in_a_folder_are_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.inkml")
    with pytest.raises(ArchiveError, match=r"pipe\.inkml.*plain file"):
        read(tmp_path)
    (tmp_path / "pipe.inkml").unlink()
    (tmp_path / "gone.inkml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ArchiveError, match=r"gone\.inkml"):
        read(tmp_path)


def test_missing_or_unknown_paths_name_the_parameter(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"ingest\.train: .*nowhere does not exist; set it"):
        check_path(tmp_path / "nowhere", "ingest.train")
    (tmp_path / "p.rar").write_bytes(b"Rar!")
    with pytest.raises(ArchiveError, match=r"ingest\.train: .*neither a folder nor a package"):
        next(read_members(tmp_path / "p.rar", ".inkml", "ingest.train"))


EVIL = ["../x.inkml", "/etc/x.inkml", "a/../../x.inkml", "..\\x.inkml", "C:\\x.inkml", "C:/x.inkml"]


@pytest.mark.parametrize("name", EVIL)
def test_names_outside_are_refused(tmp_path: Path, name: str) -> None:
    for path in (
        tar(tmp_path / "p.tar", {name: b"1"}),
        tar(tmp_path / "q.tar.gz", {"ok.inkml": b"1", name: b"1"}, "w:gz"),
        zipped(tmp_path / "p.zip", {name: b"1"}),
    ):
        with pytest.raises(ArchiveError, match="outside"):
            read(path)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "p.tar"
    with tarfile.open(path, "w") as package:
        entry = tarfile.TarInfo("x.inkml")
        entry.type, entry.linkname = kind, "/etc/passwd"
        package.addfile(entry)
    with pytest.raises(ArchiveError, match="link or device"):
        read(path)


def test_links_in_zip_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as package:
        entry = zipfile.ZipInfo("x.inkml")
        entry.create_system, entry.external_attr = 3, 0o120777 << 16
        package.writestr(entry, "/etc/passwd")
    with pytest.raises(ArchiveError, match="link or device"):
        read(path)


@pytest.fixture
def _low_limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(archive, "MAX_MEMBER", 2**20)
    monkeypatch.setattr(archive, "_FREE", 2**20)
    monkeypatch.setattr(archive, "MAX_RATIO", 20)
    yield


@pytest.mark.usefixtures("_low_limits")
@pytest.mark.parametrize("kind", ["p.tar.xz", "p.tar.gz", "p.zip"])
def test_bombs_are_refused(tmp_path: Path, kind: str) -> None:
    parts = {f"{n}.inkml": bytes(2**19) for n in range(40)}
    path = tmp_path / kind
    zipped(path, parts) if kind == "p.zip" else tar(path, parts, f"w:{kind[-2:]}")
    with pytest.raises(ArchiveError, match="unpacks to more"):
        read(path)
    # Skipped files count as well: what is not read must still be unpacked to get past it.
    if kind != "p.zip":
        tar(path, {f"{n}.txt": bytes(2**19) for n in range(40)}, f"w:{kind[-2:]}")
        with pytest.raises(ArchiveError, match="unpacks to more"):
            read(path)


@pytest.mark.usefixtures("_low_limits")
def test_enormous_members_and_headers_are_refused(tmp_path: Path) -> None:
    large = {"x.inkml": bytes(2**21)}
    for path in (tar(tmp_path / "p.tar", large), zipped(tmp_path / "p.zip", large)):
        with pytest.raises(ArchiveError, match="larger than"):
            read(path)
    with tarfile.open(tmp_path / "h.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as package:
        entry = tarfile.TarInfo("x.inkml")
        entry.pax_headers = {"comment": "a" * 2**22}
        package.addfile(entry)
    with pytest.raises(ArchiveError):
        read(tmp_path / "h.tar.gz")


def test_encrypted_zip_is_told(tmp_path: Path) -> None:
    path = zipped(tmp_path / "p.zip", {"x.inkml": b"abc"})
    data = bytearray(path.read_bytes())
    for magic, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(magic) + at] |= 1
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="encrypted"):
        read(path)


def test_zip_of_old_windows_tools(tmp_path: Path) -> None:
    path = zipped(tmp_path / "p.zip", {"a\\x.inkml": b"1", "a\\.y.inkml": b"?", "b\\": b""})
    assert read(path) == {"a/x.inkml": b"1"}
    assert count_members([path], ".inkml") == 1


def test_zip_of_finder(tmp_path: Path) -> None:
    def unmarked(name: str) -> bytes:
        path = zipped(tmp_path / "m.zip", {name: b"1"})
        data = bytearray(path.read_bytes())
        for mark, at in ((b"PK\3\4", 7), (b"PK\1\2", 9)):
            data[data.index(mark) + at] &= ~8  # the flag that says UTF-8
        return bytes(data)

    path = tmp_path / "p.zip"
    path.write_bytes(unmarked("ä/数式.inkml"))
    assert read(path) == {"ä/数式.inkml": b"1"}
    old = unmarked("ab.inkml").replace(b"ab.inkml", b"\x82b.inkml")  # code page 437
    path.write_bytes(old)
    assert read(path) == {"éb.inkml": b"1"}


@pytest.mark.parametrize("size", [2**62, 2**63 - 1, 2**40, 10_000])
@pytest.mark.parametrize("name", ["x.inkml", "skipped.txt"])
def test_sizes_that_a_header_makes_up_cost_nothing(tmp_path: Path, size: int, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    path = tmp_path / "p.tar"
    path.write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(512))
    with pytest.raises(ArchiveError, match=r"p\.tar: "):
        read(path)


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / ("x" * 5000), tmp_path / "loop"):
        assert count_members([path], ".inkml") is None
        with pytest.raises(ArchiveError, match="does not exist"):
            read(path)


@given(st.integers(0, 511), st.binary(min_size=1, max_size=12), st.sampled_from("0xgKL5S7"))
def test_any_header_gives_members_or_an_archive_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, bytes_: bytes, kind: str
) -> None:
    entry = tarfile.TarInfo("a/x.inkml")
    entry.size, entry.type = 600, kind.encode()
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    header[at : at + len(bytes_)] = bytes_
    header = header[:512]
    header[148:156] = b" " * 8  # the sum is right, so that what is damaged is believed
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    path = tmp_path_factory.mktemp("header") / "p.tar"
    path.write_bytes(bytes(header) + b"30 path=a/y.inkml\n" * 40 + bytes(2000))
    try:
        read(path)
    except ArchiveError as error:
        assert "p.tar" in str(error)


@given(st.data())
def test_damaged_packages_give_members_or_an_archive_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    kind = data.draw(st.sampled_from(["p.tar", "p.tar.gz", "p.tar.xz", "p.zip"]))
    path = folder / kind
    mode = {"p.tar": "w", "p.tar.gz": "w:gz", "p.tar.xz": "w:xz"}
    zipped(path, FILES) if kind == "p.zip" else tar(path, FILES, mode[kind])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        read(path)
    except ArchiveError as error:
        assert kind in str(error)


def test_package_cut_short_is_told(tmp_path: Path) -> None:
    for kind in ("gz", "xz"):
        path = tar(tmp_path / f"p.tar.{kind}", {"x.inkml": os.urandom(50_000)}, f"w:{kind}")
        path.write_bytes(path.read_bytes()[:20_000])
        with pytest.raises(ArchiveError, match="fetch it again"):
            read(path)


@pytest.mark.parametrize("name", ["p", "p.zip", "p.tar.gz"])
def test_a_part_is_spread_over_the_whole(
    tmp_path: Path, put: Callable[..., Path], name: str
) -> None:
    files = {f"{n:02d}.png": b"" for n in range(20)} | {f"{n:02d}.txt": b"" for n in range(20)}
    path = put(tmp_path / name, dict(sorted(files.items())))

    def names(suffix: str | tuple[str, ...], limit: int | None) -> list[str]:
        return [Path(m.name).name for m in spread(path, suffix, "here", limit)]

    assert names(".png", 4) == ["04.png", "09.png", "14.png", "19.png"]
    assert len(names(".png", 99)) == len(names(".png", None)) == 20
    assert len(names((".png", ".txt"), None)) == 40
    assert len(names((".png", ".txt"), 7)) == 7
