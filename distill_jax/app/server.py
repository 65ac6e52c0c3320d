"""The app on a port of this machine."""

import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import NamedTuple

# Before Gradio is imported, which looks at it then.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.responses import FileResponse, PlainTextResponse

from distill_jax import folders, train
from distill_jax.app import gate, places, training
from distill_jax.app.pages import Desk, whole

log = logging.getLogger(__name__)

# Reports have no scripts; whatever else lies in the folder shall have none, too.
QUIET_POLICY = (
    "default-src 'none'; img-src 'self' data:; media-src 'self'; "
    "style-src 'unsafe-inline'; frame-ancestors 'self'"
)


class Options(NamedTuple):
    """How the app is opened.

    Attributes:
      root: the one folder that it reads, writes and serves.
      host: address to listen at.
      port: 0 takes one that is free.
      password: "" asks for none, on loopback only.
      upload_mb: largest file that is taken.
      uploads_gb: that all uploads together may take.
    """

    root: Path
    host: str = "127.0.0.1"
    port: int = 7860
    password: str = ""
    upload_mb: int = 500
    uploads_gb: float = 20.0


def build(options, trainer):
    """The ASGI application, gate included.

    Args:
      options: `Options`.
      trainer: `training.Trainer`.

    Raises:
      ValueError: see `gate.check`.
    """
    gate.check(options.host, options.password)
    root = options.root.resolve()
    # Gone with the start before: nobody can ask for it any more.
    temporary = root / places.HIDDEN / "temporary"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    os.environ["GRADIO_TEMP_DIR"] = str(temporary)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.get("/files/{name:path}")(_files(root))
    gr.mount_gradio_app(
        app,
        whole.page(Desk(root, trainer, options.uploads_gb * 1e9)),
        "/",
        server_name=options.host,
        server_port=options.port,
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        show_error=False,
        max_file_size=options.upload_mb * 1_000_000,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=whole.theme(),
        css=whole.CSS,
    )
    local = gate.is_loopback(options.host)
    hosts = tuple({*gate.LOCAL, options.host}) if local else None
    return gate.Gate(app, gate.Rules(hosts, options.password, temporary))


def _files(root):
    def give(name: str):
        path = places.served(root, name)
        if path is None:
            return PlainTextResponse("no such file", 404)
        return FileResponse(path, headers={"content-security-policy": QUIET_POLICY})

    return give


def serve(options):
    """Serves until Ctrl-C; then the job that runs is saved.

    Raises:
      ValueError: see `gate.check`.
      OSError: the folder cannot be made, or the port is taken.
    """
    options.root.mkdir(parents=True, exist_ok=True)
    train.cache_compilations(folders.cache("xla"))
    with contextlib.closing(training.Trainer()) as trainer:
        app = build(options, trainer)
        config = uvicorn.Config(
            app,
            options.host,
            options.port,
            log_level="warning",
            access_log=False,
            # Pages keep connections open that never end by themselves.
            timeout_graceful_shutdown=2,
        )
        listening = config.bind_socket()
        host = f"[{options.host}]" if ":" in options.host else options.host
        print(f"http://{host}:{listening.getsockname()[1]}", flush=True)
        uvicorn.Server(config).run(sockets=[listening])
        print("stopped; waiting for the job to save, if one runs", flush=True)
