"""What calls cost outlives the process that measured it."""

from pathlib import Path

import pytest

from worker.batching import BatchKey, Costs
from worker.cost_file import CostFile

KEY = BatchKey("model", 8, 8, 1)


def measured() -> Costs:
    costs = Costs()
    for _ in range(2):
        costs.observe(KEY, 2, 0.5)
    return costs


def test_a_new_start_knows_what_the_last_one_measured(tmp_path: Path) -> None:
    CostFile(measured(), tmp_path / "costs", "a device").keep()
    costs = Costs()
    CostFile(costs, tmp_path / "costs", "a device").recall()
    assert costs.seconds(KEY, 2) == 0.5


def test_another_device_learns_for_itself(tmp_path: Path) -> None:
    CostFile(measured(), tmp_path, "a device").keep()
    costs = Costs()
    CostFile(costs, tmp_path, "another").recall()
    assert costs.to_json() == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"curves": [{"seconds": {"2": -1}}]}', "\x00"])
def test_a_spoilt_file_costs_a_note_and_is_measured_anew(tmp_path: Path, text: str) -> None:
    CostFile(measured(), tmp_path, "a device").keep()
    (file,) = tmp_path.iterdir()
    file.write_text(text)
    costs = Costs()
    CostFile(costs, tmp_path, "a device").recall()
    assert costs.to_json() == []


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "costs").write_text("a file where the folder should be")
    CostFile(measured(), tmp_path / "costs", "a device").keep()
