"""The API's description: complete, and readable without internet."""

import re

import pytest

from tests.service.fake import FakeWorker


async def test_the_page_loads_nothing_from_elsewhere(client) -> None:
    page = (await client.get("/docs")).text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded
    for path in loaded:
        assert path.startswith("docs/")
        assert (await client.get(f"/{path}")).status_code == 200


async def test_the_root_says_where_to_read_on(client) -> None:
    said = (await client.get("/")).json()
    assert said["service"] == "latentry"
    # Clients of AUTOMATIC1111 take a service that has it for ComfyUI.
    assert (await client.get("/system_stats")).status_code == 404
    for name in ("docs", "openapi"):
        assert said[name].startswith("http://gateway/")
        assert (await client.get(said[name])).status_code == 200


@pytest.mark.parametrize("name", ["../core.py", "redoc.standalone.js", "%2e%2e%2fcore.py"])
async def test_only_the_pages_own_files_are_served(client, name: str) -> None:
    assert (await client.get(f"/docs/{name}")).status_code == 404


async def test_every_reference_in_the_document_leads_somewhere(client) -> None:
    answer = await client.get("/openapi.json")
    schemas = answer.json()["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/(\w+)"', answer.text))
    assert references <= set(schemas)
    assert {"GenerationRequest", "ImagesRequest", "Job", "Problem", "Event"} <= set(schemas)


async def test_a_request_as_the_document_describes_it_is_accepted(client, worker: FakeWorker):
    document = (await client.get("/openapi.json")).json()
    operation = document["paths"]["/v1/generations"]["post"]
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    assert schema["anyOf"] == [{"required": ["prompt"]}, {"required": ["image"]}]
    assert schema["additionalProperties"] is False
    nulls = dict.fromkeys(set(schema["properties"]) - {"prompt"})
    answer = await client.post("/v1/generations", json={"prompt": "a"} | nulls)
    assert answer.status_code == 202
