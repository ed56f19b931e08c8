"""XMP: that a model made the picture, in the words of IPTC, for whatever reads metadata.

A packet of Adobe's XMP specification, part 1, with IPTC's DigitalSourceType
(https://cv.iptc.org/newscodes/digitalsourcetype/). It names no prompt, seed or model.
"""

from enum import StrEnum
from typing import Final

from latentry.version import __version__

KEYWORD: Final = "XML:com.adobe.xmp"  # of the iTXt chunk that has it in a PNG
SOFTWARE: Final = f"latentry {__version__}"
_VOCABULARY: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class SourceType(StrEnum):
    """IPTC's kinds of origin that pictures of ours have."""

    GENERATED = "trainedAlgorithmicMedia"
    COMPOSITE = "compositeWithTrainedAlgorithmicMedia"  # parts of a picture are kept
    ENHANCED = "algorithmicallyEnhanced"  # enlarged, or preprocessed

    @property
    def uri(self) -> str:
        """As XMP and C2PA name it."""
        return _VOCABULARY + self.value


# The byte order mark in the header tells UTF-8, and keeps a PNG's chunk from being Latin-1.
_PACKET: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about=""'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    ' Iptc4xmpExt:DigitalSourceType="{source_type}" xmp:CreatorTool="{software}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


def packet(source_type: SourceType) -> str:
    """The XMP of a picture; equal for equal versions of latentry."""
    return _PACKET.format(source_type=source_type.uri, software=SOFTWARE)
