"""URLs that gateways sign themselves: all of them alike, whatever they share."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from latentry.errors import LinkRefused, Unavailable
from latentry.settings import Settings
from service.jobs.links import GatewayLinks

KEY = "default/gen_1/1-0.png"
BUCKET = {"storage_url": "s3://pictures", "s3_secret_key": SecretStr("a-secret")}


def links(folder: Path, **changes: Any) -> GatewayLinks:
    return GatewayLinks(Settings(data_dir=folder).model_copy(update=changes))


def agree(one: GatewayLinks, other: GatewayLinks) -> bool:
    query = dict(part.split("=") for part in one.signature(KEY).split("&"))
    try:
        other.check(KEY, query["exp"], query["sig"])
    except LinkRefused:
        return False
    return True


@pytest.mark.parametrize(
    "shared", [BUCKET, {"signing_key": SecretStr("k")}, {**BUCKET, "signing_key": SecretStr("k")}]
)
def test_gateways_of_one_service_sign_alike(tmp_path: Path, shared: dict[str, Any]) -> None:
    assert agree(links(tmp_path / "a", **shared), links(tmp_path / "b", **shared))


def test_those_of_another_do_not(tmp_path: Path) -> None:
    here = links(tmp_path / "a", **BUCKET)
    other = {**BUCKET, "s3_secret_key": SecretStr("another")}
    assert not agree(here, links(tmp_path / "a", **other))
    assert not agree(here, links(tmp_path / "a", **BUCKET, signing_key=SecretStr("a-secret")))
    assert not agree(links(tmp_path / "a"), links(tmp_path / "b"))
    assert agree(links(tmp_path / "a"), links(tmp_path / "a"))


def test_a_bucket_s_gateway_needs_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert links(file, **BUCKET).file(KEY)
    with pytest.raises(Unavailable, match="LATENTRY_SIGNING_KEY"):
        links(file, storage_url="s3://pictures").file(KEY)
