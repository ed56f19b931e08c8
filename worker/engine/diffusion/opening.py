"""The models that a backend serves from its start, and which of them are loaded at once."""

from collections.abc import Callable, Mapping

import structlog

from latentry.contracts import ModelCard
from latentry.errors import LatentryError, Unavailable
from latentry.sources import ModelLocation
from worker.engine.models.loading.early_digests import EarlyDigests
from worker.engine.models.loading.loading import as_configuration_error
from worker.engine.models.residents import Residents
from worker.engine.models.sources.sources import blueprint_from_source

log = structlog.get_logger()


def open_models(
    residents: Residents,
    sources: Mapping[str, ModelLocation],
    before: Callable[[ModelLocation], None] | None = None,
    *,
    may_be_none: bool = False,
    early: EarlyDigests | None = None,
) -> list[ModelCard]:
    """Serve these models, and load those that fit; the cards of all that can be used.

    `before` is called with each source. `early`: what of their files is hashed already. If none can
    be used, and there have to be some, the first error is raised, or an Unavailable if there is
    one, for then another try may help.
    """
    cards: list[ModelCard] = []
    failures: list[LatentryError] = []
    for model, source in sources.items():
        if before is not None:
            before(source)
        try:
            with as_configuration_error(model):
                card = add_model(residents, model, source)
                if residents.fits(model):
                    residents.load(model, early)
        except LatentryError as error:
            log.error("model.unusable", model=model, code=error.code, why=error.message)
            residents.listed.forget(model)
            failures.append(error)
        else:
            cards.append(card)
            for warning in card.warnings:
                log.warning("model.warning", model=model, warning=warning)
    if not (cards or may_be_none):
        raise next((one for one in failures if isinstance(one, Unavailable)), failures[0])
    return cards


def add_model(residents: Residents, model: str, source: ModelLocation) -> ModelCard:
    """Serve a model without loading it. Raises ConfigurationError, and Unavailable of a hub."""
    prefer_fp16 = residents.listed.at.prefers_fp16
    blueprint = blueprint_from_source(model, source, prefer_fp16=prefer_fp16)
    residents.listed.add(blueprint)
    return blueprint.card
