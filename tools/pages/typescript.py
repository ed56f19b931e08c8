"""Generates the TypeScript SDK's part that follows from the API document: `make sdk-ts`.

The generated code is committed, with a hash of what it was made of: nobody needs npm who does not
change the API, and a test says who should run this.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from tools.pages.native_api import Document, native_part
from tools.pages.openapi import document, text

PACKAGE: Final = Path(__file__).parents[2] / "sdk" / "typescript"
GENERATED: Final = PACKAGE / "src" / "generated"
HASH: Final = GENERATED / "document.sha256"
_INPUT: Final = PACKAGE / "openapi.json"
_NPM: Final = ("npm", "--no-audit", "--no-fund", "--prefix", str(PACKAGE))


def digest(native: Document) -> str:
    """The hash of the part of an API document that the SDK is made of."""
    return hashlib.sha256(text(native).encode()).hexdigest()


def main() -> int:
    """Generate; the exit status."""
    native = native_part(json.loads(text(document())))
    _INPUT.write_text(text(native))
    try:
        if not (PACKAGE / "node_modules").is_dir():
            subprocess.run([*_NPM, "ci", "--ignore-scripts"], check=True)  # noqa: S603
        subprocess.run([*_NPM, "run", "--silent", "generate"], check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{error}\nThe TypeScript SDK needs Node 20.19 or later, and npm.", file=sys.stderr)
        return 1
    finally:
        _INPUT.unlink()
    HASH.write_text(f"{digest(native)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
