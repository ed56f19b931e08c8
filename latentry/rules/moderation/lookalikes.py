"""Letters that look like Latin ones, by the letter.

Of the Unicode Consortium's confusables.txt (UTS #39, by way of confusable_homoglyphs 3.3.1): single
letters of the Basic Multilingual Plane, after NFKD and case folding, that stand for one of a to z.
Fullwidth and mathematical letters are decomposed by NFKD; strokes through letters, small capitals
and letters on dark circles and squares, which are not, are added here.
"""

from string import ascii_lowercase
from typing import Final

LOOKALIKES: Final = {
    "a": "ɑαаᎪᗅꓮ",
    "b": "ƀƅβвьᏏᏴᑲᖯᗷꓐꞵ",
    "c": "сᏟᴄⲥꓚ",
    "d": "ðđԁᎠᏧᑯᗞᗪꓒꓓ",
    "e": "εеҽᎬⴹꓰꬲ",
    "f": "ϝքᖴẝꓝꞙꬵ",
    "g": "ƍɡԍցᏀᏳᶃꓖ",
    "h": "ħηнһհᎻᏂᕼⲏꓧ",
    "i": "ıɨɩɪιіᎥꙇ",
    "j": "ʝϳјᎫᒍꓙ",
    "k": "κкᏦᛕⲕꓗ",
    "l": "łǀӏᏞᒪᛁⲓⳑⵏꓡꓲ",
    "m": "μϻмᎷᗰᛖⲙꓟ",
    "n": "ոռⲛꓠ",
    "o": "øοσоօଠഠဝჿዐᴏᴑⲟⵔꓳꬽ",
    "p": "þρрᏢᑭⲣꓑ",
    "q": "ԛգզⵕ",
    "r": "ʀгᎡᎱᏒᖇᴦⲅꓣꭇꭈ",
    "s": "ƽѕտᏕᏚꓢꜱ",
    "t": "ŧτтᎢⲧꓔ",
    "u": "ʋυսሀᑌᴜꓴꞟꭎꭒ",
    "v": "νѵᏙᐯᴠⴸꓦꛟ",
    "w": "ɯѡԝաᎳᏔᴡꓪ",
    "x": "χхᕁᕽᚷⲭⵝꓫꭓ",
    "y": "ɣʏγуүყᎩᎽᶌỿⲩꓬꭚ",
    "z": "ζᏃᴢꓜ",
}
_SMALL_CAPITALS: Final = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡxʏᴢ"
_ENCLOSED: Final = (0x1F150, 0x1F170)  # the “a” on a dark circle, and on a dark square
TO_LATIN: Final = str.maketrans(
    {alike: letter for letter, all_alike in LOOKALIKES.items() for alike in all_alike}
    | dict(zip(_SMALL_CAPITALS, ascii_lowercase, strict=True))
    | {chr(a + n): letter for a in _ENCLOSED for n, letter in enumerate(ascii_lowercase)}
)
