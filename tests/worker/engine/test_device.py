"""All of a model gets to the chosen device."""

import platform
from pathlib import Path

import pytest
import torch

from latentry.errors import ConfigurationError
from worker.engine.device import Device, _named, multiplies_bfloat16
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


# What the processor has, as torch and oneDNN say it: (oneDNN's answer, AVX512_BF16, AMX), and what
# `auto` is then. oneDNN says yes to every AVX-512 on x86, and asks the CPU on Arm.
PROCESSORS = {
    "sapphire rapids": ("x86_64", (True, True, True), torch.bfloat16),
    "zen 4": ("x86_64", (True, True, False), torch.bfloat16),
    "skylake": ("x86_64", (True, False, False), torch.float32),
    "without avx512": ("x86_64", (False, False, False), torch.float32),
    "graviton 3": ("aarch64", (True, False, False), torch.bfloat16),
    "graviton 2": ("aarch64", (False, False, False), torch.float32),
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_auto_is_bfloat16_where_the_processor_multiplies_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, (onednn, avx512_bf16, amx), dtype = PROCESSORS[name]
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert Device.choose("cpu", "auto").dtype is dtype
    assert Device.choose("cpu", "float32").dtype is torch.float32, "one variable away"


def test_auto_is_float32_where_torch_was_built_without_onednn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")  # as torch for Macs is
    monkeypatch.setattr(torch.ops, "mkldnn", torch.ops.a_library_that_is_not_there)
    assert Device.choose("cpu", "auto").dtype is torch.float32
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert Device.choose("cpu", "auto").dtype is torch.float32


def test_a_cpu_is_named_by_vendor_and_model_and_on_arm_by_instructions(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nvendor_id : GenuineIntel\nmodel : 143\nMHz : 2\n\nmodel : 9\n")
    assert _named(info) == ["GenuineIntel", "143"]
    info.write_text(
        "processor\t: 0\nBogoMIPS\t: 2100.00\nFeatures\t: fp asimd sve bf16\n"
        "CPU implementer\t: 0x41\nCPU variant\t: 0x1\nCPU part\t: 0xd40\nCPU revision\t: 1\n"
    )
    assert _named(info) == ["fp asimd sve bf16", "0x41", "0x1", "0xd40"]
    assert _named(tmp_path / "none") == []


def test_what_the_processor_says_of_itself_agrees() -> None:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        pytest.skip("Linux says what its CPUs have")
    flags = set(info.read_text().split())
    assert multiplies_bfloat16() == bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def test_auto_is_float16_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert Device.choose("auto", "auto").dtype is torch.float16


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
