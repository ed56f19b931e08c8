"""`python -m tests.hostile.fuzzing TARGET SECONDS`: searches by coverage for bytes that break us.

atheris is libFuzzer for Python. What it finds stays in `crash-…` and belongs into `corpus/TARGET`.
"""

import sys
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

import atheris

with atheris.instrument_imports(
    include=["service.intake", "latentry.rules.prompts", "worker.engine"]
):
    from tests.hostile.targets import TARGETS, WORDS, seeds

KNOWN = Path(__file__).parent / "corpus"


def main() -> None:
    target, seconds = sys.argv[1], sys.argv[2]
    with TemporaryDirectory() as start, NamedTemporaryFile("w", suffix=".dict") as words:
        words.write("\n".join(f'"{word}"' for word in WORDS[target]))
        words.flush()
        for number, seed in enumerate(seeds(target)):
            (Path(start) / str(number)).write_bytes(seed)
        known = [str(KNOWN / target)] if (KNOWN / target).is_dir() else []
        options = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=5", "-verbosity=1"]
        options.append(f"-dict={words.name}")
        options.append(f"-artifact_prefix={KNOWN.parent}/found-{target}-")
        atheris.Setup([sys.argv[0], *options, start, *known], TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
