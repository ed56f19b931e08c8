"""All of a model gets to the chosen device."""

from pathlib import Path

import pytest
import torch

from latentry.errors import ConfigurationError
from worker.engine.device import Device
from worker.engine.models.loading.loading import Loading
from worker.engine.models.sources.folder import blueprint_from_folder


def test_a_device_that_is_not_there_is_refused_and_one_that_is_has_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigurationError, match="only 2 CUDA devices"):
        Device.choose("cuda:7", "auto")
    assert Device.choose("cuda", "auto").device == torch.device("cuda:0")
    assert Device.choose("cuda:1", "auto").device == torch.device("cuda:1")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_all_of_a_model_gets_to_a_gpu(folders: dict[str, Path]) -> None:
    at = Device.choose("cuda", "auto")
    loading = Loading(blueprint_from_folder("model", folders["epsilon"], prefer_fp16=True), at)
    loading.read()
    model = loading.loaded()
    encoders = [clip.model for clip in model.conditioner.encoders]
    for network in (model.unet, model.vae, *encoders):
        tensors = [*network.parameters(), *network.buffers()]
        assert {tensor.device for tensor in tensors} == {at.device}
