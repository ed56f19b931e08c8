"""One call of a resident UNet: eager, or by a compiled package where one is ready."""

import torch

from worker.engine.models.loaded_model import LoadedModel
from worker.engine.unet.compiled import CompiledUNets
from worker.engine.unet.eager import eager
from worker.engine.unet.inputs import UNetInputs
from worker.engine.unet.shape import MAX_ROWS, Shape
from worker.engine.unet.slot import CompiledSlot


def call(
    model: LoadedModel, inputs: UNetInputs, compiled: CompiledUNets | None = None
) -> torch.Tensor:
    """The UNet's output, [rows, C, h, w].

    Without `compiled` it is eager, as strict mode needs it: when a package gets ready is a matter
    of time, and its last bits are others.
    """
    if compiled is None or inputs.rows > MAX_ROWS:
        return eager(model.unet, inputs)
    slot = _slot(model, inputs)
    compiled.prepare(slot, model.unet)
    if not slot.is_compiled:
        return eager(model.unet, inputs)
    try:
        return slot.run(model.unet, inputs)
    except torch.AcceleratorError as error:
        compiled.give_up(slot, error)
        raise
    except Exception as error:  # whatever it is, a package calls it RuntimeError
        try:
            # If this fails too, for want of memory or by its input, the package is not to blame.
            output = eager(model.unet, inputs)
        except torch.AcceleratorError:
            compiled.give_up(slot, error)
            raise
        compiled.give_up(slot, error)
        return output


def _slot(model: LoadedModel, inputs: UNetInputs) -> CompiledSlot:
    slot: CompiledSlot | None = model.compiled.get(inputs.size)
    if slot is None:
        height, width, tokens = inputs.size
        added = inputs.added_widths
        shape = Shape.of(
            model.unet, model.at, height=height, width=width, tokens=tokens, added=added
        )
        slot = model.compiled[inputs.size] = CompiledSlot(shape)
    return slot
