import asyncio
import sys
from dataclasses import replace

import pytest

from benchmarks.contenders.contender import Child, child
from benchmarks.load.traces import Mix
from latentry.contracts import Determinism

QUICK = Mix((2,)).first(4)
ENDLESS = replace(QUICK[0], num_inference_steps=100)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


async def test_the_engine_draws_counts_and_drops_requests() -> None:
    async with child("engine", "engine") as engine:
        wishes = [*QUICK, replace(QUICK[0], determinism=Determinism.STRICT)]
        answers = await asyncio.gather(*(engine.draw(wish) for wish in wishes))
        assert all(answer["wait_steps"] >= 0 for answer in answers)
        counted = await engine.clear()
        assert counted["calls"] >= 2
        assert counted["rows"] >= counted["useful_rows"] == 2 * 2 * len(wishes)
        assert counted["step_s"] >= counted["call_s"] > 0

        endless = asyncio.create_task(engine.draw(ENDLESS))
        await engine.draw(QUICK[0])
        endless.cancel()
        await engine.clear()
        assert (await engine.clear())["calls"] == 0

        costs = await engine.ask("costs", rows=[2, 4], side=128, rounds=1)
        assert costs["unet_s"]["4"] > 0


async def test_the_stock_pipeline_draws_equal_wishes_together_and_drops_the_rest() -> None:
    async with child("stock", "stock") as stock:
        await stock.ask("cap", images=4)
        answers = await asyncio.gather(*(stock.draw(wish) for wish in QUICK))
        assert len(answers) == 4
        endless = asyncio.create_task(stock.draw(ENDLESS))
        never = asyncio.create_task(stock.draw(QUICK[1]))
        await asyncio.sleep(0)  # so that both are sent before they are dropped
        await stock.clear()
        assert not endless.done()
        assert not never.done()
        endless.cancel()
        never.cancel()


async def test_a_contender_that_ends_fails_its_open_commands() -> None:
    with pytest.raises(RuntimeError, match="has ended"):
        async with child("nobody", "nobody"):
            pass


async def test_a_command_to_a_contender_that_has_ended_fails() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    gone = Child("gone", process)
    await process.wait()
    await asyncio.wait_for(gone.stop(), 30)
    with pytest.raises(RuntimeError, match="gone has ended"):
        await gone.clear()
