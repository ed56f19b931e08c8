#!/bin/sh
# Pillow 13.0.0: Image.resize() of the same picture to the same size gives other bytes than 12.3.0 where the height shrinks by more than twice what the
# width does: it filters columns first there, and rounds to bytes in between. Until 12.3.0 rows always came first. So hashes of resized pictures, and what
# is drawn from them, change with the version.
# Seen: 100 x 400 to 400 x 100 by LANCZOS is rows first in 12.3.0 and columns first in 13.0.0, some bytes differ; 400 x 300 to 100 x 75 is the same in both.
# Exits with 1 if the versions do the same, or another thing.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 12.3.0 13.0.0; do
  python3 -m pip install --quiet --disable-pip-version-check --target "$folder/$version" "pillow==$version"
  PYTHONPATH="$folder/$version" python3 - > "$folder/said-$version" <<'PY'
import random
from hashlib import sha256

from PIL import Image

by = Image.Resampling.LANCZOS
for before, after in (((100, 400), (400, 100)), ((400, 300), (100, 75))):
    picture = Image.frombytes("RGB", before, random.Random(0).randbytes(3 * before[0] * before[1]))
    ways = {
        "rows first": picture.resize((after[0], before[1]), by).resize(after, by),
        "columns first": picture.resize((before[0], after[1]), by).resize(after, by),
    }
    made = picture.resize(after, by).tobytes()
    order = [name for name, way in ways.items() if way.tobytes() == made]
    print(before, after, *order, sha256(made).hexdigest()[:12])
PY
  echo "Pillow $version:"
  cat "$folder/said-$version"
done
old="$folder/said-12.3.0" new="$folder/said-13.0.0"
grep -q "(400, 100) rows first" "$old"
grep -q "(400, 100) columns first" "$new"
test "$(sed -n 2p "$old")" = "$(sed -n 2p "$new")"
test "$(sed -n 1p "$old")" != "$(sed -n 1p "$new")"
