"""What the UNet is conditioned on for one image, row by row, at each of its calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from latentry.contracts import JobWarning
from worker.engine.conditioning.clip import TextEmbedding


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """The conditioning of an image's rows of one UNet call: the negative prompt's first, if guided.

    hidden [rows, tokens, width]: diffusers' encoder_hidden_states, 77 tokens a chunk. added:
    diffusers' added_cond_kwargs, empty for SD 1.x and 2.x; for SDXL text_embeds [rows, width], the
    pooled prompts, and time_ids [rows, 6] in pixels, or [rows, 5] with a score at the end. All are
    on the device and in the model's dtype. weights: of the prompt's parts between ANDs, which are
    the last rows.
    """

    hidden: torch.Tensor
    added: Mapping[str, torch.Tensor]
    weights: tuple[float, ...] = (1.0,)

    @property
    def unguided(self) -> "Conditioning":
        """The prompt's rows alone."""
        first = len(self.hidden) - len(self.weights)
        added = {name: rows[first:] for name, rows in self.added.items()}
        return Conditioning(self.hidden[first:], added, self.weights)


class ConditioningByCall:
    """An image's conditioning at each call of a pass: most have one, prompt schedules several.

    rows: of each row of a call, its embeddings at call 0, 1, …; the last one stays. time_ids
    [rows, 6 or 5]: SDXL's sizes. warnings: what of the prompts was left out.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[TextEmbedding]],
        weights: tuple[float, ...],
        *,
        time_ids: torch.Tensor | None = None,
        warnings: tuple[JobWarning, ...] = (),
    ) -> None:
        self.weights = weights
        self.warnings = warnings
        self._rows = rows
        self._time_ids = time_ids
        self._embeddings: tuple[TextEmbedding, ...] = ()
        self._stacked: Conditioning | None = None

    def after(self, calls: int) -> "ConditioningByCall":
        """That of a pass which goes on after so many calls of another."""
        rows = [row[min(calls, len(row) - 1) :] for row in self._rows]
        ids, warnings = self._time_ids, self.warnings
        return ConditioningByCall(rows, self.weights, time_ids=ids, warnings=warnings)

    def towards(self, other: "ConditioningByCall", weight: float) -> "ConditioningByCall":
        """So far on the straight line to another one with as many rows, call by call."""
        mixed: dict[tuple[TextEmbedding, TextEmbedding], TextEmbedding] = {}
        rows = []
        for own, its in zip(self._rows, other._rows, strict=True):
            calls = max(len(own), len(its))
            pairs = [(own[min(k, len(own) - 1)], its[min(k, len(its) - 1)]) for k in range(calls)]
            for pair in pairs:
                if pair not in mixed:
                    mixed[pair] = pair[0].towards(pair[1], weight)
            rows.append([mixed[pair] for pair in pairs])
        weights = zip(self.weights, other.weights, strict=True)
        time_ids = self._time_ids
        if time_ids is not None and other._time_ids is not None:
            time_ids = torch.lerp(time_ids.float(), other._time_ids.float(), weight).to(time_ids)
        return ConditioningByCall(
            rows,
            tuple(own + weight * (its - own) for own, its in weights),
            time_ids=time_ids,
            warnings=tuple(dict.fromkeys((*self.warnings, *other.warnings))),
        )

    @property
    def rows(self) -> int:
        """Rows of a guided UNet call: 2 as a rule, 1 without guidance, one more for each AND."""
        return len(self._rows)

    @property
    def unguided_rows(self) -> int:
        """Rows of a call after guidance has stopped: one for each part of the prompt."""
        return len(self.weights)

    def at(self, call: int) -> Conditioning:
        """All rows at this call of a pass; the same object until one of them changes."""
        embeddings = tuple(row[min(call, len(row) - 1)] for row in self._rows)
        if self._stacked is None or embeddings != self._embeddings:
            self._embeddings, self._stacked = embeddings, self._stack(embeddings)
        return self._stacked

    def _stack(self, embeddings: Sequence[TextEmbedding]) -> Conditioning:
        pooled = [one.pooled for one in embeddings if one.pooled is not None]
        added = {"text_embeds": torch.stack(pooled)} if pooled else {}
        if self._time_ids is not None:
            added["time_ids"] = self._time_ids
        return Conditioning(torch.stack([one.hidden for one in embeddings]), added, self.weights)
