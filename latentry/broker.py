"""What gateway and worker agree on to wake workers over Celery, which itself stays outside.

The only message is the bell: it tells a model's workers to look into the ledger and carries nothing
else, so a bell that is lost or sent twice does no harm.
"""

from typing import Any, Final

from latentry.ledger import redis_keys
from latentry.ledger.server.tls import tls_options
from latentry.settings import Settings

TASK: Final = "denoise"
# No second bell for a model within this time: running workers poll by themselves, and idle ones
# hear the next bell.
BELL_S: Final = 2.0


def broker_queue(settings: Settings, model: str) -> str:
    """The broker queue that a model's workers read."""
    return f"{settings.redis_prefix}.{model}"


def broker_config(settings: Settings) -> dict[str, Any]:
    """Celery's configuration on both sides."""
    return {
        "broker_url": settings.redis_url.get_secret_value(),
        "broker_use_ssl": tls_options(settings) or False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_retry": True,
        "broker_connection_max_retries": None,  # the default gives up after 100
        "broker_channel_error_retry": True,
        "broker_pool_limit": 10,
        "broker_transport_options": {
            # In the ledger's hash slot: on a cluster, kombu reads several queues by one command.
            "global_keyprefix": redis_keys.key(redis_keys.root(settings.redis_prefix), "celery:"),
            # Longer than the 1 s that a BRPOP waits; the default waits for ever on a dead peer.
            "socket_timeout": 15,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "retry_on_timeout": True,
        },
        # JSON only: a forged message must not run code, as one in pickle would.
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "result_backend": None,
        "task_ignore_result": True,
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,  # a busy worker must not hold bells
        "worker_enable_prefetch_count_reduction": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_enable_remote_control": False,  # its reply lists have no time to live
        "worker_send_task_events": False,
        "worker_eta_task_limit": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
    }
