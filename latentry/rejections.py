"""What is sent and cannot be taken in. Part of the tree in `latentry.errors`.

LatentryError
├── InvalidRequest
│   ├── MalformedHead
│   ├── HeadTooLarge
│   ├── TooSlow
│   ├── NotAcceptable
│   ├── UnsupportedImage
│   ├── ImageTooLarge
│   └── BrokenImage
├── Exhausted
│   └── FileQuotaExceeded
└── Unavailable
    └── Busy
"""

from latentry.errors import InvalidRequest, Unavailable
from latentry.refusals import Exhausted


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


class FileQuotaExceeded(Exhausted):
    """No more files can be kept; delete some, or wait for the oldest to expire."""

    code = "file_quota_exceeded"


class Busy(Unavailable):
    """Too many others are being served at this moment."""

    code = "busy"
