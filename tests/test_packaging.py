"""What people install: the wheel, the locks, the containers."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import uv
import yaml

from app.config import Settings
from docs import generate

ROOT = Path(__file__).parent.parent
LOCKS = ["requirements.lock", "requirements-dev.lock"]
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)(.*?) \\$", re.MULTILINE)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what is needed, so that nothing is written into the checkout."""
    checkout, dist = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("dist")
    for folder in ("app", "templates", "static", "migrations"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, checkout)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", dist],
        cwd=checkout,
        check=True,
        capture_output=True,
    )
    (built,) = dist.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel alone; its dependencies come from the running environment."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [uv.find_uv_bin(), "pip", "install", "--offline", "--no-deps", "--target", folder, wheel],
        check=True,
        capture_output=True,
    )
    return folder


def setright(site: Path, settings: Settings, *arguments: str) -> str:
    """Run a command of the installed wheel far from the checkout."""
    program = "import sys; from app.cli import main; sys.argv[0] = 'setright'; main()"
    environment = {**os.environ, "PYTHONPATH": str(site), "SETRIGHT_HOME": str(settings.home)}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=settings.home,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_holds_everything_it_needs(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("templates", "static", "migrations"):
        files = [path for path in (ROOT / folder).rglob("*.*") if "__pycache__" not in path.parts]
        assert files
        assert {f"app/_resources/{path.relative_to(ROOT)}" for path in files} <= inside
    for path in (ROOT / "app" / "samples").glob("*.*"):
        assert f"app/samples/{path.name}" in inside
    for path in (ROOT / "app" / "languages").glob("*.po"):
        assert f"app/languages/{path.name}" in inside
    assert any(name.endswith("licenses/LICENSE") for name in inside)
    assert not [name for name in inside if name.startswith(("tests/", "bench/", "docs/"))]


@pytest.mark.slow
def test_the_wheel_works_far_from_the_checkout(site: Path, settings: Settings) -> None:
    setright(site, settings, "migrate")
    assert (settings.home / "setright.db").stat().st_size > 0
    assert "dataset" in setright(site, settings, "--help").lower()
    shown = subprocess.run(
        [sys.executable, "-c", "from app.resources import folder; print(folder('templates'))"],
        cwd=settings.home,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(shown.stdout.strip()).is_relative_to(site)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_only_what_everybody_can_get(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    pins = PIN.findall(text)
    assert len(pins) > 50
    assert [package for package, version, _ in pins if "+" in version] == []
    assert re.findall(r"^(?:-e|file:|\./|/|--index|--find).*", text, re.MULTILINE) == []
    assert len(re.findall(r"^[a-z0-9-]+==", text, re.MULTILINE)) == len(pins), "a pin without a hash"


def test_both_locks_agree() -> None:
    run, dev = (set(PIN.findall((ROOT / name).read_text(encoding="utf-8"))) for name in LOCKS)
    everywhere = {(package, version) for package, version, marker in dev if not marker}
    assert [pin for pin in run - dev if pin[:2] not in everywhere] == []


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return parsed


def test_containers_are_locked_down(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", "migrate", "web", "worker"}
    for name, service in compose["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "container_name" not in service, "a fixed name cannot be scaled"
        if name != "migrate":
            assert service["healthcheck"]["test"][0] == "CMD", name
    assert re.search(r"^USER 10001", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert compose["services"]["web"]["ports"] == ["127.0.0.1:8321-8329:8321"], "one for each web process"
    assert "ports" not in compose["services"]["postgres"]


def test_web_and_workers_share_storage_and_database(compose: dict[str, Any]) -> None:
    ours = [compose["services"][name] for name in ("migrate", "web", "worker")]
    assert len({service["environment"]["SETRIGHT_DATABASE_URL"] for service in ours}) == 1
    assert [service["volumes"] for service in ours] == [["storage:/data"]] * 3
    assert {"storage", "database"} == set(compose["volumes"])


@pytest.mark.parametrize("service", ["migrate", "web", "worker"])
def test_containers_run_commands_that_exist(compose: dict[str, Any], service: str) -> None:
    command, *options = compose["services"][service]["command"]
    pages = {part.splitlines()[0]: part for part in generate.commands_page().split("\n## setright ")}
    assert [name for name in options if name.startswith("--") and name not in pages[command]] == []


def test_environment_variables_of_the_containers_are_settings(compose: dict[str, Any]) -> None:
    known = {f"SETRIGHT_{name.upper()}" for name in Settings.model_fields}
    used = {
        name
        for service in compose["services"].values()
        for name in service["environment"]
        if name.startswith("SETRIGHT_")
    }
    assert used
    assert used <= known


def test_docker_compose_accepts_the_file(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no `docker compose` on this machine")
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=secret\n", encoding="utf-8")
    subprocess.run([docker, "compose", "config", "--quiet"], cwd=tmp_path, check=True, capture_output=True)
