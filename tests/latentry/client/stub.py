"""An ASGI application on a loopback port, for as long as a test needs it."""

import contextlib
import socket
import threading

import uvicorn


@contextlib.contextmanager
def serving(app):
    """Serves the application; gives its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


async def answer(send, status, content_type, body=b"", *, more=False):
    """Send a response, whole or only its beginning."""
    headers = [(b"content-type", content_type.encode()), (b"x-request-id", b"req_1")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": more})


def sse(event):
    """An event as the gateway writes it."""
    head = f"event: {event.type}\n" + (f"id: {event.id}\n" if event.id else "")
    return f"{head}data: {event.model_dump_json()}\n\n".encode()
