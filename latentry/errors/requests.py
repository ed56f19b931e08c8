"""What is wrong with a request."""

from latentry.errors.base import InvalidRequest


class MalformedBody(InvalidRequest):
    """The request body is not valid JSON."""

    code = "malformed_body"


class BodyTooLarge(InvalidRequest):
    """The request body exceeds the size limit."""

    code = "body_too_large"


class UnsupportedMediaType(InvalidRequest):
    """Content-Type must be application/json, without Content-Encoding."""

    code = "unsupported_media_type"


class UnsupportedSize(InvalidRequest):
    """The model does not support this image size."""

    code = "unsupported_size"


class UnsupportedSampler(InvalidRequest):
    """The model does not support this sampler."""

    code = "unsupported_sampler"


class UnsupportedSpacing(InvalidRequest):
    """The sampler does not support this spacing."""

    code = "unsupported_spacing"


class TooManySteps(InvalidRequest):
    """The model does not support this many steps."""

    code = "too_many_steps"


class TooManyIntermediates(InvalidRequest):
    """The request would store too many intermediates."""

    code = "too_many_intermediates"


class TooManyFrames(InvalidRequest):
    """The model's motion module does not know this many frames."""

    code = "too_many_frames"


class KeyframesDiffer(InvalidRequest):
    """The pictures of an interpolation differ in what must be equal."""

    code = "keyframes_differ"


class InvalidPrompt(InvalidRequest):
    """A weight is out of range, there are too many parts or texts, or a wildcard is unknown."""

    code = "invalid_prompt"


class PromptRefused(InvalidRequest):
    """A rule of this service forbids what the prompt asks for."""

    code = "prompt_refused"


class UnknownStyle(InvalidRequest):
    """There is no style of this name."""

    code = "unknown_style"


class UnknownAdapter(InvalidRequest):
    """There is no adapter of this id; GET /v1/adapters lists the available ones."""

    code = "unknown_adapter"


class AdapterMismatch(InvalidRequest):
    """The adapter was made for another kind of model."""

    code = "adapter_mismatch"


class AdapterChanged(InvalidRequest):
    """The service has another file under this adapter's id."""

    code = "adapter_changed"


class ClipSkipTooLarge(InvalidRequest):
    """clip_skip exceeds the layers that the model's text encoder can skip."""

    code = "clip_skip_too_large"


class UnsupportedField(InvalidRequest):
    """The model does not support this field."""

    code = "unsupported_field"


class UrlNotAllowed(InvalidRequest):
    """The URL must be https:// with the full name of a public host."""

    code = "url_not_allowed"


class InvalidIdempotencyKey(InvalidRequest):
    """Idempotency-Key must be 1 to 255 printable ASCII characters."""

    code = "invalid_idempotency_key"


class IdempotencyConflict(InvalidRequest):
    """Idempotency-Key was already used with a different request."""

    code = "idempotency_conflict"


class RequestTooExpensive(InvalidRequest):
    """The request exceeds the maximum cost of one request."""

    code = "request_too_expensive"


class FinishWithinTooShort(InvalidRequest):
    """The images take longer than `finish_within`, however short the queue."""

    code = "finish_within_too_short"


class MalformedHead(InvalidRequest):
    """The HTTP request line or a header is malformed."""

    code = "malformed_head"


class HeadTooLarge(InvalidRequest):
    """The HTTP request line and headers exceed the size limit."""

    code = "head_too_large"


class TooSlow(InvalidRequest):
    """The request did not arrive in time; send it faster, or send less."""

    code = "too_slow"
    retryable = True


class NotAcceptable(InvalidRequest):
    """The response is application/json, which the Accept header excludes."""

    code = "not_acceptable"


class UnsupportedImage(InvalidRequest):
    """The image must be a still PNG, JPEG or WebP file."""

    code = "unsupported_image"


class ImageTooLarge(InvalidRequest):
    """The image exceeds the pixel limit."""

    code = "image_too_large"


class FileGone(InvalidRequest):
    """The file does not exist, or it has expired or was deleted; upload the picture again."""

    code = "file_gone"


class ProvenanceRequired(InvalidRequest):
    """Files of this service must say more of their making than the request allows."""

    code = "provenance_required"


class FetchFailed(InvalidRequest):
    """The picture could not be fetched: its URL must respond with status 200 in time."""

    code = "fetch_failed"


class BrokenImage(InvalidRequest):
    """The image cannot be decoded."""

    code = "broken_image"
