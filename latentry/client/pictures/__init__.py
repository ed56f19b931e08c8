"""Pictures that a caller has: as inputs of requests, as files of the service, by themselves."""

from latentry.client.pictures.sources import (
    Picture,
    Source,
    images_read,
    picture_bytes,
    reference_of,
)

__all__ = ["Picture", "Source", "images_read", "picture_bytes", "reference_of"]
