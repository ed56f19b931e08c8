"""Files and models as Replicate's API has them."""

from tests.hostile.pictures import encoded
from tests.service.fake import FakeWorker
from tests.service.keys import bearer, issue

FILES = "/replicate/v1/files"
MODEL = "/replicate/v1/models/whoever/shapes"
PHOTO = encoded("PNG", size=(40, 24))


async def uploaded(client, **more) -> dict:
    answer = await client.post(FILES, files={"content": ("a.png", PHOTO), **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_file_comes_is_listed_and_goes(client) -> None:
    first = await uploaded(client)
    second = await uploaded(client, metadata=("m", b'{"a": 1}', "application/json"))
    assert first["urls"]["get"] == f"http://gateway{FILES}/{first['id']}"
    assert first["checksums"]["sha256"] == first["etag"]
    assert (first["content_type"], first["metadata"]) == ("image/png", {})
    assert (await client.get(f"{FILES}/{first['id']}")).json() == first
    listed = (await client.get(FILES)).json()["results"]
    assert {one["id"] for one in listed} == {first["id"], second["id"]}
    assert (await client.delete(f"{FILES}/{first['id']}")).status_code == 204
    assert [one["id"] for one in (await client.get(FILES)).json()["results"]] == [second["id"]]
    assert (await client.get(f"{FILES}/{first['id']}")).status_code == 404


async def test_it_is_the_tenants_file_of_our_own_door_too(client, worker: FakeWorker, made) -> None:
    file = await uploaded(client)
    assert (await client.get(f"/v1/files/{file['id']}")).json()["sha256"] == file["etag"]
    body = {"version": "shapes", "input": {"prompt": "a", "image": file["urls"]["get"]}}
    answer = await client.post("/replicate/v1/predictions", json=body)
    assert answer.status_code == 201, answer.text
    assert made().image.file == file["id"]
    assert answer.json()["input"]["image"] == file["urls"]["get"]


async def test_what_is_no_picture_is_refused(client) -> None:
    for content, code in ((b"text", "unsupported_image"), (b"", "unsupported_image")):
        answer = await client.post(FILES, files={"content": ("a.txt", content)})
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    wrong = await client.post(FILES, files={"file": ("a.png", PHOTO)})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "malformed_body")
    plain = await client.post(FILES, content=PHOTO, headers={"Content-Type": "image/png"})
    assert (plain.status_code, plain.json()["title"]) == (415, "Unsupported Media Type")


async def test_a_model_has_one_version_with_the_schema_of_its_inputs(client, worker) -> None:
    model = (await client.get(MODEL)).json()
    assert (model["owner"], model["name"]) == ("latentry", "shapes")
    assert (await client.get("/replicate/v1/models")).json()["results"] == [model]
    [version] = (await client.get(f"{MODEL}/versions")).json()["results"]
    assert version == model["latest_version"]
    assert (await client.get(f"{MODEL}/versions/shapes")).json() == version
    schemas = version["openapi_schema"]["components"]["schemas"]
    assert schemas["Output"]["type"] == "array"
    # Such an output would make `run()` return a generator.
    assert "x-cog-array-type" not in schemas["Output"]
    assert {"prompt", "num_outputs", "scheduler"} <= schemas["Input"]["properties"].keys()
    assert "#/components/schemas/WantedLora" in str(schemas["Input"])
    assert "WantedLora" in schemas


async def test_another_model_or_version_is_not_found(client, worker) -> None:
    for path in (
        "/replicate/v1/models/a/sdxl",
        f"{MODEL}/versions/other",
        "/replicate/v1/models/a/x/versions",
    ):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_model")


async def test_the_catalogue_needs_a_key_where_one_is_needed(client, worker, ledger) -> None:
    issue(ledger)
    for path in (MODEL, "/replicate/v1/models", "/replicate/v1/account", FILES):
        assert (await client.get(path)).status_code == 401
    assert (await client.get(MODEL, headers=bearer(issue(ledger)))).status_code == 200
