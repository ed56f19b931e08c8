"""The VAE of a request, found in the catalogue."""

from collections.abc import Sequence

from latentry.contracts import Adapter, AdapterKind, ModelCard, Vae, WantedVae
from latentry.errors import AdapterChanged, AdapterMismatch, UnknownAdapter
from latentry.rules.adapters import found_adapter


def found_vae(
    wanted: WantedVae | Vae | None, adapters: Sequence[Adapter], card: ModelCard
) -> Vae | None:
    """With its file as the model's workers have it; None for None.

    Raises UnknownAdapter, AdapterMismatch or AdapterChanged.
    """
    if wanted is None:
        return None
    try:
        found = found_adapter(wanted.id, AdapterKind.VAE, adapters, card, sha256=wanted.sha256)
    except (UnknownAdapter, AdapterMismatch, AdapterChanged) as error:
        raise type(error)(error.message, fields={"/vae": error.message}) from None
    return Vae(id=found.id, sha256=found.sha256)
