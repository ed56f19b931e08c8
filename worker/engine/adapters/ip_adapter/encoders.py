"""Which image encoder an IP-Adapter's file was made with: the nearest that fits it."""

import threading
from pathlib import Path
from typing import TypeAlias

from latentry.errors import AdapterUnusable
from worker.engine.adapters.beside import State, image_encoders, state_of
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.ip_adapter.encoder_files import EncoderFiles
from worker.engine.adapters.ip_adapter.layout import IPAdapterFile

Found: TypeAlias = tuple[EncoderFiles, str]  # with the hash of all that it says


class Encoders:
    """Reads each folder once, as long as its files stay what they are: some are of gigabytes."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[State, Found]] = {}
        self._lock = threading.Lock()

    def find(self, file: AdapterFile, parsed: IPAdapterFile) -> Found:
        """The nearest that gives what the file takes. Raises AdapterUnusable."""
        takes, hidden = parsed.takes, parsed.layout.takes_hidden_states
        what = f"{'hidden states' if hidden else 'embeddings'} of {takes} numbers"
        problem = AdapterUnusable(
            f"It needs an image encoder that gives {what}: a folder image_encoder beside it, with"
            " config.json and safetensors."
        )
        for folder in image_encoders(file.folder) if file.folder else ():
            try:
                files = EncoderFiles.read(folder)
                if files.gives(hidden_states=hidden) == takes:
                    return self._hashed(folder, files)
            except AdapterUnusable as error:
                problem = error
        raise problem

    def _hashed(self, folder: Path, files: EncoderFiles) -> Found:
        with self._lock:
            state, known = state_of([folder]), self._known.get(folder)
            if known is None or known[0] != state:
                known = self._known[folder] = state, (files, files.sha256())
            return known[1]
