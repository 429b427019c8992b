"""What docker-compose.yml, the Dockerfile and the units of systemd promise, as far as reading them tells."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.config import Settings
from docs import generate

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return parsed


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, each with what follows it on one line."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    whole = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in whole.splitlines() if line.strip()]


def test_the_image_is_built_from_what_is_sent_and_locked() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for name, rest in instructions():
        assert name not in {"ADD", "MAINTAINER"}, "COPY says what it does"
        if name == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source.rstrip('/')}" in ignored, f"{source} would not be there"
        if "pip install" in rest and "/wheel" not in rest.split("pip install")[1]:
            assert "--require-hashes" in rest
        if "apt-get install" in rest:
            assert "apt-get install -y --no-install-recommends " in rest
            assert "&& rm -rf /var/lib/apt/lists/*" in rest


def test_the_image_runs_as_nobody_in_particular_on_a_known_base() -> None:
    found = instructions()
    for name, rest in found:
        if name == "FROM":
            assert re.fullmatch(r"python:3\.\d+-slim( AS \w+)?", rest)
    users = [rest for name, rest in found if name == "USER"]
    assert users == ["10001:10001"]
    for name, rest in found:
        if name in {"ENTRYPOINT", "CMD"}:
            assert isinstance(json.loads(rest), list), "a shell in between would swallow signals"
    assert any(name == "HEALTHCHECK" for name, _ in found)


def test_services_start_in_order_and_can_be_scaled(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services["migrate"]["restart"] == "no"
    for name in ("web", "worker"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert "container_name" not in services[name]
        assert "hostname" not in services[name], "workers are told apart by it"
    first, last = re.fullmatch(r"127\.0\.0\.1:(\d+)-(\d+):8321", services["web"]["ports"][0]).groups()  # type: ignore[union-attr]  # it is shown if not
    assert int(last) > int(first)


def test_secrets_are_files_and_no_address_holds_a_password(compose: dict[str, Any]) -> None:
    migrate = compose["services"]["migrate"]
    (secret,) = migrate["secrets"]
    assert migrate["environment"]["SETRIGHT_ADMIN_PASSWORD_FILE"] == f"/run/secrets/{secret}"
    assert set(compose["secrets"]) == {secret}
    for name in ("migrate", "web", "worker"):
        environment = compose["services"][name]["environment"]
        assert "@postgres/" in environment["SETRIGHT_DATABASE_URL"]
        assert "PASSWORD" not in environment["SETRIGHT_DATABASE_URL"], "some characters would break it"
        assert environment["PGPASSWORD"].startswith("${POSTGRES_PASSWORD:?")


def test_every_setting_is_in_the_example() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert re.search(r"^POSTGRES_PASSWORD=$", text, re.MULTILINE), "no password that everybody knows"
    assert all(f"#SETRIGHT_{name.upper()}=" in text for name in Settings.model_fields)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_are_hardened_and_run_commands_that_exist(unit: Path) -> None:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation has it
    read.read(unit, encoding="utf-8")
    service = read["Service"]
    program, command, *options = shlex.split(service["ExecStart"])
    pages = {part.splitlines()[0]: part for part in generate.commands_page().split("\n## setright ")}
    assert program.endswith("/setright")
    assert [name for name in options if name.startswith("--") and name not in pages[command]] == []
    assert service["User"] == "setright"
    for name, value in {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "CapabilityBoundingSet": "",
    }.items():
        assert service[name] == value, name
    assert service["StateDirectory"].split()[0] == "setright"


def test_there_are_units_for_every_process() -> None:
    names = [unit.name for unit in UNITS]
    assert names == [
        "setright-backup.service",
        "setright-migrate.service",
        "setright-web@.service",
        "setright-worker@.service",
    ]


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_accepts_the_units(unit: Path, tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze on this machine")
    for one in unit.parent.iterdir():
        text = one.read_text(encoding="utf-8").replace("/opt/setright/bin/setright", "/bin/true")
        (tmp_path / one.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [tool, "verify", "--man=no", "--recursive-errors=no", tmp_path / unit.name],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = [line for line in done.stderr.splitlines() if "setright" in line]
    assert said == []
