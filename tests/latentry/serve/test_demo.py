import io

from PIL import Image as Pixels

from latentry.serve.demo import COLUMNS, PROMPTS, Picture, demo_env, save
from latentry.settings import Settings
from tests.latentry.client.conftest import image


def test_a_demo_touches_nothing_of_another_service():
    settings = Settings.from_env(
        demo_env(
            {
                "LATENTRY_DATA_DIR": "/data",
                "LATENTRY_PORT": "8000",
                "LATENTRY_REDIS_URL": "rediss://elsewhere/0",
                "LATENTRY_REDIS_TLS_CA_FILE": "ca.pem",
                "LATENTRY_STORAGE_URL": "s3://bucket",
                "LATENTRY_THREADS": "2",
            }
        )
    )
    assert str(settings.data_dir) == "/data/demo"
    assert (settings.port, settings.metrics_port, settings.worker_metrics_port) == (0, 0, 0)
    assert not {"redis_url", "storage_url"} & settings.model_fields_set
    assert settings.threads == 2


def test_the_sheet_shows_the_pictures_row_by_row(tmp_path):
    pictures = []
    for index, prompt in enumerate(PROMPTS):
        encoded = io.BytesIO()
        Pixels.new("RGB", (16, 16), (index * 40, 0, 0)).save(encoded, "PNG")
        pictures.append(Picture(prompt, image(index), encoded.getvalue()))
    save(pictures, tmp_path / "demo.png")
    with Pixels.open(tmp_path / "demo.png") as sheet:
        assert sheet.size == (16 * COLUMNS, 32)
        reds = [sheet.getpixel((x * 16 + 8, y * 16 + 8))[0] for y in range(2) for x in range(3)]
    assert reds == [0, 40, 80, 120, 160, 200]
