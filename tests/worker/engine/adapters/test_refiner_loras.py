"""LoRAs for SDXL's refiner, whose only text encoder is SDXL's second one."""

from pathlib import Path

import pytest

from latentry.contracts import Sampler
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.adapters import written
from tests.worker.engine.adapters.drawing import Made, Worn, by_definition, dressed
from tests.worker.engine.adapters.written import Style
from tests.worker.engine.conftest import serving
from tests.worker.engine.diffusion.test_from_pictures import error, from_picture
from tests.worker.engine.diffusion.test_refiner import CONFIG
from tests.worker.engine.stock import Stock
from tests.worker.engine.tiny import Family
from worker.engine.adapters.file import AdapterFile
from worker.engine.loop import Engine

pytestmark = stock.WARNINGS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("refiner") / "m", CONFIG, family=Family.REFINER)


@pytest.mark.parametrize("networks", [("text_encoder_2",), ("unet", "text_encoder_2")])
def test_a_lora_reaches_its_text_encoder(
    folder: Path, tmp_path: Path, networks: tuple[str, ...]
) -> None:
    backend = serving({"refiner": folder})
    reference = Stock({"refiner": folder}, {"refiner": CONFIG})
    found = written.terms(reference.pipeline("refiner"), Style(networks=networks), 3)
    path = tmp_path / "refined.safetensors"
    written.save(written.kohya(found, is_xl=True), path)
    worn = [Worn(Made(path, AdapterFile.read(path).sha256, written.deltas(found)), 0.8)]
    plain = from_picture("job", "refiner", Sampler.EULER)
    order = dressed(backend, plain, worn)
    latent = oracle.alone(Engine(backend), order)
    with by_definition(reference, order, worn):
        assert error(latent, order, reference) <= 1
    assert stock.error(latent, oracle.alone(Engine(backend), plain)) > 100
