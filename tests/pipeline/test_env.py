"""Where tools keep what is theirs, and that nobody stands between us and our own servers."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
import requests

from hmer.errors import HmerError
from pipeline.env import apply_environment, lasting_root, private, secure_dvc
from tests.pipeline.conftest import Toy, commit_all

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path) -> Iterator[None]:
    kept = dict(os.environ)
    for name in ("DVC_SITE_CACHE_DIR", "MLFLOW_TRACKING_URI"):
        os.environ.pop(name, None)
    os.environ["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    yield
    os.environ.clear()
    os.environ.update(kept)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_copy_of_the_project_tracks_where_the_project_does(tmp_path: Path) -> None:
    copy = tmp_path / ".dvc/tmp/exps/standalone/tmpab12"
    assert lasting_root(copy) == lasting_root(copy / "sub") == tmp_path
    assert lasting_root(tmp_path) == tmp_path
    apply_environment(copy)
    assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path}/mlflow.db"


def test_the_site_cache_is_ours_alone(tmp_path: Path) -> None:
    apply_environment(tmp_path)
    folder = Path(os.environ["DVC_SITE_CACHE_DIR"])
    assert folder.is_absolute() and folder.is_relative_to(tmp_path / "cache")
    assert mode(folder) == mode(folder.parent) == 0o700
    folder.chmod(0o777)
    assert private(folder) == folder and mode(folder) == 0o700
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(HmerError, match="not a folder of this user's"):
        private(tmp_path / "link")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_site_cache_of_somebody_else_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "cache/hmer"
    theirs.mkdir(parents=True)
    os.chown(theirs, 12345, -1)
    with pytest.raises(HmerError, match="others may write there what we would run"):
        apply_environment(tmp_path)


@pytest.mark.medium
def test_dvc_called_by_hand_uses_it_too(toy: Toy) -> None:
    """Also where it was called before we were: git makes the folder, not DVC."""
    environment = toy.environment
    os.environ["XDG_CACHE_HOME"] = environment["XDG_CACHE_HOME"]
    apply_environment(toy.root)
    secure_dvc(toy.root)
    told = toy.run("-m", "dvc", "config", "core.site_cache_dir").stdout.strip()
    assert told == os.environ["DVC_SITE_CACHE_DIR"]
    assert toy.run("-m", "dvc", "status").returncode == 0
    assert list(Path(told).glob("repo/*")) and not (toy.root / ".dvc-site-cache").exists()
    before = (toy.root / ".dvc/config.local").read_bytes()
    secure_dvc(toy.root)
    assert (toy.root / ".dvc/config.local").read_bytes() == before


@pytest.mark.medium
def test_a_clone_is_safe_before_set_up(toy: Toy) -> None:
    """`git clone` makes the folders as its user's umask says; DVC alone would for everyone."""
    listed = subprocess.run(
        ["git", "ls-files", ".dvc-site-cache"], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    for path in listed.stdout.split() or [".dvc-site-cache/repo/.gitignore"]:
        (toy.root / path).parent.mkdir(parents=True, mode=0o755)
        (toy.root / path).touch()
    assert toy.run("-m", "dvc", "status").returncode == 0
    folders = [p for p in (toy.root / ".dvc-site-cache").rglob("*") if p.is_dir()]
    assert len(folders) >= 2, "DVC has put its cache elsewhere"
    assert not [p for p in folders if mode(p) & 0o022]


class Here(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
@pytest.mark.parametrize("excepted", ["", "example.org, localhost"])
def test_no_proxy_before_our_own_servers(tmp_path: Path, proxy: str, excepted: str) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        os.environ[name] = proxy
    os.environ["no_proxy"] = excepted
    apply_environment(tmp_path)
    apply_environment(tmp_path)
    wanted = [host.strip() for host in excepted.split(",") if host.strip()]
    hosts = os.environ["no_proxy"].split(",")
    assert hosts[: len(wanted)] == wanted and len(hosts) == len(set(hosts))
    server = HTTPServer(("127.0.0.1", 0), Here)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    try:
        # Not `urlopen`, which would keep these proxies for the tests that come after.
        with urllib.request.build_opener().open(url) as reply:
            assert reply.read() == b"ok"
        assert httpx.Client().get(url).text == requests.get(url, timeout=60).text == "ok"
        script = f"import urllib.request as u; print(u.urlopen({url!r}).read())"
        child = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
        assert child.stdout == b"b'ok'\n"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "queued",
    [
        False,
        pytest.param(True, marks=pytest.mark.slow),
    ],
)
def test_an_experiment_in_a_copy_is_tracked_by_the_project(
    toy: Toy, empty_store: Path, queued: bool
) -> None:
    """`dvc exp run --temp` and `--queue`, called by hand."""
    shutil.copyfile(empty_store, toy.root / "mlflow.db")
    config = (toy.root / ".dvc/config").read_text()
    (toy.root / ".dvc/config").write_text(config.replace("    no_scm = true\n", ""))
    ignored = ".resume\nmlflow.db*\nmlruns\npid-*\n__pycache__\n/out\n"
    (toy.root / ".gitignore").write_text(ignored)
    (toy.root / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    code = (toy.root / "toy.py").read_text()
    # One is enough: every process that tracks imports MLflow.
    how = "stage.tracked({}) if stage.name == 'second' else nullcontext()"
    code = code.replace("    with stage.outputs(", f"    with {how}, stage.outputs(")
    code = code.replace("import os\n", "import os\nfrom contextlib import nullcontext\n", 1)
    (toy.root / "toy.py").write_text(code)
    toy.params(second={"text": ""})
    commit_all(toy.root)
    assert toy.run("-m", "pipeline.env").returncode == 0
    how = "--queue" if queued else "--temp"
    done = toy.run("-m", "dvc", "exp", "run", how, "-S", "second.text=x", "-n", "aside")
    assert done.returncode == 0, done.stdout + done.stderr
    if queued:
        done = toy.run("-m", "dvc", "exp", "run", "--run-all", "--jobs", "1")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "aside" in toy.run("-m", "dvc", "exp", "list", "--name-only").stdout
    assert not (toy.root / "out").exists()
    with closing(sqlite3.connect(toy.root / "mlflow.db")) as store:
        names = {row[0] for row in store.execute("select name from runs")}
        places = {row[0] for row in store.execute("select artifact_uri from runs")}
    assert names == {"second"}
    assert all(place.startswith((toy.root / "mlruns").as_uri()) for place in places)
