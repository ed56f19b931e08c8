"""What was asked cannot be."""

from latentry.errors.tree import InvalidRequest


class MalformedBody(InvalidRequest):
    """The body is not valid JSON."""

    code = "malformed_body"


class BodyTooLarge(InvalidRequest):
    """The body is larger than this service accepts."""

    code = "body_too_large"


class UnsupportedMediaType(InvalidRequest):
    """The body must be application/json, without a content encoding."""

    code = "unsupported_media_type"


class UnsupportedSize(InvalidRequest):
    """The model does not draw pictures of this size."""

    code = "unsupported_size"


class UnsupportedSampler(InvalidRequest):
    """The model does not offer this sampler."""

    code = "unsupported_sampler"


class UnsupportedSpacing(InvalidRequest):
    """The sampler cannot space its noise levels this way."""

    code = "unsupported_spacing"


class TooManySteps(InvalidRequest):
    """The model does not take this many steps."""

    code = "too_many_steps"


class InvalidPrompt(InvalidRequest):
    """The prompt gives some words a weight that makes no sense."""

    code = "invalid_prompt"


class ClipSkipTooLarge(InvalidRequest):
    """The model's text encoder has not that many layers to skip."""

    code = "clip_skip_too_large"


class UnsupportedField(InvalidRequest):
    """The model has no use for this field."""

    code = "unsupported_field"


class UrlNotAllowed(InvalidRequest):
    """The URL must be https://, a public host's full name, and nothing unusual."""

    code = "url_not_allowed"


class InvalidIdempotencyKey(InvalidRequest):
    """An Idempotency-Key is 1 to 255 printable ASCII characters."""

    code = "invalid_idempotency_key"


class IdempotencyConflict(InvalidRequest):
    """This Idempotency-Key was used with another request."""

    code = "idempotency_conflict"


class RequestTooExpensive(InvalidRequest):
    """The request is more work than one may ask for at once."""

    code = "request_too_expensive"


class MalformedHead(InvalidRequest):
    """This is no HTTP request: its first line or a header is malformed."""

    code = "malformed_head"


class HeadTooLarge(InvalidRequest):
    """The request's first line and headers are longer than this service accepts."""

    code = "head_too_large"


class TooSlow(InvalidRequest):
    """The request did not arrive in time; send it faster, or a smaller one."""

    code = "too_slow"
    retryable = True


class NotAcceptable(InvalidRequest):
    """The answer would be application/json, which the Accept header rules out."""

    code = "not_acceptable"


class UnsupportedImage(InvalidRequest):
    """Only still PNG, JPEG and WebP pictures are read."""

    code = "unsupported_image"


class ImageTooLarge(InvalidRequest):
    """The picture has more pixels than this service accepts."""

    code = "image_too_large"


class BrokenImage(InvalidRequest):
    """The picture cannot be decoded."""

    code = "broken_image"
