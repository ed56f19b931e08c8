"""What calls cost outlives the process that measured it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from latentry.contracts import Seamless
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


def test_the_first_call_of_a_process_is_as_slow_as_that_of_the_last_one_and_no_idle_engine_makes_it(
    tmp_path: Path,
) -> None:
    measured = Costs()
    for seconds in (5.0, 0.01, 0.01):
        measured.observe(KEY, 2, seconds)
    assert measured.unmeasured(KEY) is not None, "short calls may be made by an idle engine"
    CostFile(measured, tmp_path, "a device").keep()
    costs = Costs()
    CostFile(costs, tmp_path, "a device").recall()
    assert costs.unmeasured(KEY) is None
    assert costs.seconds(KEY, 2) == 0.01


def test_seamless_calls_have_a_curve_of_their_own_and_are_read_back_as_keys(
    tmp_path: Path,
) -> None:
    costs = measured()
    x, y = (replace(KEY, seamless=one) for one in (Seamless.X, Seamless.Y))
    for _ in range(2):
        costs.observe(x, 2, 0.7)
    CostFile(costs, tmp_path, "a device").keep()
    recalled = Costs()
    CostFile(recalled, tmp_path, "a device").recall()
    assert [recalled.seconds(key, 2) for key in (KEY, x, y)] == [0.5, 0.7, 0.7]
    (path,) = tmp_path.iterdir()
    old = json.loads(path.read_text())
    for curve in old["curves"]:
        assert curve.pop("seamless") in list(Seamless)
    older = Costs()
    older.from_json(old["curves"][:1])
    assert older.seconds(KEY, 2) == 0.5, "a file of a version that knew no such calls"


def test_keys_with_adapters_are_read_back_as_keys(tmp_path: Path) -> None:
    file = CostFile(measured(), tmp_path, "a device")
    file.keep()
    (path,) = tmp_path.iterdir()
    kept = json.loads(path.read_text())
    assert [curve["adapters"] for curve in kept["curves"]] == [[]]
    kept["curves"].append(kept["curves"][0] | {"adapters": ["film", "ink"], "width": 16})
    path.write_text(json.dumps(kept))
    costs = Costs()
    with capture_logs() as logs:
        CostFile(costs, tmp_path, "a device").recall()
    assert logs == []
    plain, adapted = costs.to_json()
    assert (plain["adapters"], adapted["adapters"]) == ((), ("film", "ink"))
    other = Costs()
    other.from_json(json.loads(json.dumps(costs.to_json())))
    assert other.to_json() == costs.to_json()


def test_a_key_with_adapters_costs_what_the_model_costs_without(tmp_path: Path) -> None:
    CostFile(measured(), tmp_path, "a device").keep()
    costs = Costs()
    CostFile(costs, tmp_path, "a device").recall()
    adapted = replace(KEY, adapters=("film",))
    assert costs.observe(adapted, 2, 0.5) is False, "the first call of a shape is a warm-up"
    assert costs.cheapest(adapted) == costs.cheapest(KEY) == (2, 0.5)


def test_another_device_learns_for_itself(tmp_path: Path) -> None:
    CostFile(measured(), tmp_path, "a device").keep()
    costs = Costs()
    CostFile(costs, tmp_path, "another").recall()
    assert costs.to_json() == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"curves": [{"seconds": {"2": -1}}]}', "\x00"])
def test_an_invalid_file_is_logged_and_costs_are_measured_again(tmp_path: Path, text: str) -> None:
    CostFile(measured(), tmp_path, "a device").keep()
    (file,) = tmp_path.iterdir()
    file.write_text(text)
    costs = Costs()
    CostFile(costs, tmp_path, "a device").recall()
    assert costs.to_json() == []


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "costs").write_text("a file where the folder should be")
    CostFile(measured(), tmp_path / "costs", "a device").keep()
