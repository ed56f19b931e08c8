"""Which adapter of the catalogue a request means, whatever its kind."""

from collections.abc import Collection, Sequence

from latentry.contracts import Adapter, AdapterKind, ModelCard, Vae, WantedVae
from latentry.errors import AdapterChanged, AdapterMismatch, UnknownAdapter
from latentry.rules.styles import hint


def found_adapter(
    name: str,
    kinds: Collection[AdapterKind],
    adapters: Sequence[Adapter],
    card: ModelCard,
    *,
    sha256: str | None = None,
) -> Adapter:
    """The adapter of this id and one of these kinds, capitals or not where that is unambiguous.

    sha256: of the file that is meant, if the request says so. Raises UnknownAdapter,
    AdapterMismatch or AdapterChanged, without fields.
    """
    adapter = named(name, [one for one in adapters if one.kind in kinds])
    if adapter is None:
        if other := named(name, adapters):
            wanted = " or ".join(kind.article for kind in kinds)
            raise AdapterMismatch(f"“{other.id}” is {other.kind.article}, not {wanted}.")
        known = {one.id: one for one in adapters if one.kind in kinds and card.id in one.models}
        raise UnknownAdapter(f"There is no adapter “{name}”{hint(name, known)}")
    if card.id not in adapter.models:
        raise AdapterMismatch(mismatch(adapter, card))
    if sha256 not in (None, adapter.sha256):
        raise AdapterChanged(
            f"“{adapter.id}” is another file than the one that is meant by sha256."
        )
    return adapter


def found_vae(
    wanted: WantedVae | Vae | None, adapters: Sequence[Adapter], card: ModelCard
) -> Vae | None:
    """With its file as the model's workers have it; None for None.

    Raises UnknownAdapter, AdapterMismatch or AdapterChanged.
    """
    if wanted is None:
        return None
    try:
        found = found_adapter(wanted.id, [AdapterKind.VAE], adapters, card, sha256=wanted.sha256)
    except (UnknownAdapter, AdapterMismatch, AdapterChanged) as error:
        raise type(error)(error.message, fields={"/vae": error.message}) from None
    return Vae(id=found.id, sha256=found.sha256)


def named(name: str, adapters: Sequence[Adapter]) -> Adapter | None:
    """The adapter of this id, capitals or not where that is unambiguous."""
    exact = next((one for one in adapters if one.id == name), None)
    alike = [one for one in adapters if one.id.casefold() == name.casefold()]
    return exact or (alike[0] if len(alike) == 1 else None)


def mismatch(adapter: Adapter, card: ModelCard) -> str:
    """Why it is of no use for this model, or for one that goes on with its images."""
    if not adapter.family:  # a file that is not read
        return f"“{adapter.id}” cannot be used. {adapter.reason or ''}".rstrip()
    if card.id in adapter.models:
        return f"“{adapter.id}” does not fit the refiner."
    if adapter.family != card.family:
        kind = card.family or "another kind"
        return f"“{adapter.id}” is for {adapter.family} models, and {card.id} is of {kind}."
    return f"“{adapter.id}” does not fit the layers of {card.id}. {adapter.reason or ''}".rstrip()
