"""`latentry doctor`: what it finds of a service and of a machine, and what it says to do."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from latentry.admin.doctor import machine, packages, stores
from latentry.admin.doctor.command import examine as examine_machine
from latentry.cli.doctor import service
from latentry.cli.doctor.findings import State, fault, ok, tell, warning
from latentry.cli.exits import Exit
from latentry.contracts.catalogue.capabilities import Capabilities, ModelModes, ServiceLimits
from latentry.errors import Unavailable
from latentry.version import __version__
from tests.latentry.cli.test_cli import latentry
from tests.latentry.client.conftest import problem
from tests.latentry.client.stub import answer, serving
from tests.valkey import free_port

__all__ = ["latentry"]
LIMITS = ServiceLimits(**dict.fromkeys(ServiceLimits.model_fields, 1))


class Patient:
    """A service as it is, or as its fields say that it is not well."""

    def __init__(self):
        self.ready, self.status = 200, 200
        self.found = Capabilities(
            version=__version__, kinds=(), output_formats=(), prompt_syntaxes=(), adapters={},
            models=(ModelModes(id="shapes", family="SD 1.x", modes=(), workers=2),),
            upscalers=(), styles=0, limits=LIMITS,
        )  # fmt: skip

    async def __call__(self, scope, receive, send):
        path = scope["path"]
        status = self.ready if path == "/readyz" else self.status
        if status != 200:
            body = problem(status, "unwell").content
        else:
            body = b"{}" if path == "/readyz" else self.found.model_dump_json().encode()
        await answer(send, status, "application/json", body)


@pytest.fixture
def patient(monkeypatch):
    stub = Patient()
    with serving(stub) as stub.url:
        monkeypatch.setenv("LATENTRY_URL", stub.url)
        yield stub


def found(patient) -> dict[str, State]:
    return {one.part: one.state for one in service.examine(patient.url, None)}


@pytest.mark.parametrize("status", [200, 404, 503])
def test_the_password_of_a_url_is_not_shown(patient, status) -> None:
    patient.ready = status
    url = patient.url.replace("://", "://ada:hush@")
    assert not any("hush" in repr(one) for one in service.examine(url, None))


def test_a_service_that_is_well_has_no_line_but_ok(patient) -> None:
    assert set(found(patient).values()) == {State.OK}
    assert found(patient).keys() == {"service", "clock", "key", "version", "models"}


@pytest.mark.parametrize(
    ("change", "part", "state"),
    [
        ({"ready": 503}, "service", State.FAULT),
        ({"ready": 404}, "service", State.FAULT),
        ({"status": 401}, "key", State.FAULT),
        ({"status": 403}, "key", State.WARNING),
    ],
)
def test_what_is_not_well_is_named(patient, change, part, state) -> None:
    for name, value in change.items():
        setattr(patient, name, value)
    assert found(patient)[part] is state


@pytest.mark.parametrize(
    ("change", "part", "state"),
    [
        ({"version": "0.0.1"}, "version", State.WARNING),
        ({"models": ()}, "models", State.FAULT),
        (
            {"models": (ModelModes(id="a", family="SDXL", modes=(), workers=0),)},
            "models",
            State.FAULT,
        ),
    ],
)
def test_what_a_service_says_of_itself_is_judged(patient, change, part, state) -> None:
    patient.found = patient.found.model_copy(update=change)
    assert found(patient)[part] is state


def test_a_model_without_a_family_has_none(patient) -> None:
    simulated = ModelModes(id="try", family="", modes=(), workers=1)
    patient.found = patient.found.model_copy(update={"models": (simulated,)})
    *_, last = service.examine(patient.url, None)
    assert last.sentence == "try, 1 worker."


def test_a_service_that_is_away_is_a_fault_with_what_to_do(latentry) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code, out, _ = latentry("doctor", "--service-only", "--url", url)
    assert code == Exit.FAILED
    assert out.startswith("fault   service")
    assert "latentry serve" in out


@pytest.mark.parametrize(("apart_s", "state"), [(4, State.OK), (-6, State.WARNING)])
def test_clocks_that_are_apart_are_a_warning(apart_s, state) -> None:
    now = datetime.now(UTC)
    theirs = now + timedelta(seconds=apart_s)
    assert service.clock(theirs, now).state is state
    assert service.clock(theirs.replace(tzinfo=None), now).state is state


def test_the_exit_code_is_that_of_the_worst_line(latentry, patient, capsys) -> None:
    assert latentry("doctor", "--service-only")[0] == Exit.DONE
    assert tell([ok("a", "b"), warning("a", "b")], as_json=False) is Exit.DONE
    assert tell([fault("a", "b"), ok("a", "b")], as_json=True) is Exit.FAILED
    last = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(last) == {"state": "ok", "part": "a", "sentence": "b"}


def test_redis_and_storage_are_tried(settings) -> None:
    lines = list(stores.redis(settings, is_own=False))
    assert lines[0].part == "Redis"
    assert lines[0].state is State.OK
    assert [one.state for one in lines if one.part == "clock"] == [State.OK]
    (settings.data_dir / "images").mkdir()
    assert next(stores.storage(settings)).state is State.OK
    assert not [one for one in (settings.data_dir / "images").rglob("*") if one.is_file()]


def test_a_redis_that_is_away_is_told_by_whose_it_is(settings) -> None:
    from pydantic import SecretStr

    away = SecretStr(f"redis://127.0.0.1:{free_port()}/0")
    gone = settings.model_copy(update={"redis_url": away})
    [theirs] = stores.redis(gone, is_own=False)
    [ours] = stores.redis(gone, is_own=True)
    assert (theirs.state, ours.state) == (State.FAULT, State.WARNING)
    assert "LATENTRY_DATA_DIR" in ours.sentence


def test_a_storage_that_fails_is_a_fault(settings, monkeypatch) -> None:
    (settings.data_dir / "images").mkdir()

    def refuse(_settings):
        raise Unavailable("The storage does not respond.")

    monkeypatch.setattr(stores, "open_storage", refuse)
    [line] = stores.storage(settings)
    assert line.state is State.FAULT


def test_models_ports_and_devices_are_looked_at(settings, tmp_path, monkeypatch) -> None:
    gone = settings.model_copy(update={"models": f"a={tmp_path / 'gone'}"})
    assert [one.state for one in machine.models(gone)] == [State.FAULT]
    simulated = settings.model_copy(update={"models": "try=simulated:call_ms=5"})
    assert [one.sentence for one in machine.models(simulated)] == ["try is simulated."]
    assert machine.ports(settings, is_running=True).state is State.OK
    monkeypatch.setattr(machine, "_torch", lambda: None)
    assert machine.device(settings).state is State.WARNING
    cpu = {"torch": "2.13.0", "threads": 2, "gpus": []}
    monkeypatch.setattr(machine, "_torch", lambda: cpu)
    assert machine.device(settings).sentence == "CPU with 2 threads, torch 2.13.0."
    cuda = settings.model_copy(update={"device": "cuda"})
    assert machine.device(cuda).state is State.FAULT
    gpu = {"torch": "2.13.0", "threads": 2, "gpus": [["H200", 141 * 1024**3]]}
    monkeypatch.setattr(machine, "_torch", lambda: gpu)
    assert machine.device(cuda).sentence == "H200 with 141 GiB, torch 2.13.0."


def test_a_package_of_the_wrong_version_is_named(monkeypatch) -> None:
    asked = ["celery>=5.7,<5.8; extra == 'server'", "gone>=1; extra == 'worker'"]
    monkeypatch.setattr(packages, "requires", lambda _: asked)
    monkeypatch.setattr(packages, "version", _version)
    said = [one for one in packages.examine() if one.part == "packages"]
    assert [one.state for one in said] == [State.WARNING] * 2
    assert "celery 5.5.0 is not <5.8,>=5.7" in said[0].sentence
    assert "gone is missing" in said[1].sentence


def _version(name: str) -> str:
    if name == "gone":
        raise packages.PackageNotFoundError
    return "5.5.0"


def test_a_setting_that_is_wrong_is_a_fault(monkeypatch) -> None:
    monkeypatch.setattr(machine, "_torch", lambda: None)
    lines = list(examine_machine({"LATENTRY_PROT": "1"}))
    assert (lines[-1].part, lines[-1].state) == ("settings", State.FAULT)
    assert "LATENTRY_PROT" in lines[-1].sentence
