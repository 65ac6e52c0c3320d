"""What can be typed to open the app."""

from pathlib import Path
from typing import NamedTuple


class App(NamedTuple):
    """Opens the package in a browser: wake words, listening, sounds, checkpoints, runs.

    Needs the extra `app`. It is heard on this machine only, unless a --host and a
    --password are given, and touches nothing outside of --workdir.

    Example: distill-jax app --workdir runs

    Attributes:
      workdir: Folder that it reads, writes and shows; made if it is missing.
      host: Address to listen at; any but loopback needs a password.
      port: Of the address; 0 takes a free one.
      password: To be typed in the browser, with any user name.
      upload_mb: Largest file that can be uploaded.
      uploads_gb: Most that all uploads together may take, in GB.
    """

    workdir: Path = Path("runs")
    host: str = "127.0.0.1"
    port: int = 7860
    password: str = ""
    upload_mb: int = 500
    uploads_gb: float = 20.0
