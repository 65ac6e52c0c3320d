"""Sound from a microphone; needs sounddevice and, on Linux, PortAudio."""

import sounddevice


class MicrophoneError(RuntimeError):
    """No microphone can be opened, or it stopped; the message says why."""


def blocks(rate_hz, samples, lost):
    """Records until it is closed.

    Args:
      rate_hz: sampling rate.
      samples: of each block.
      lost: called without arguments when samples were lost, because whoever takes
        the blocks is too slow.

    Yields:
      float32 [samples].

    Raises:
      MicrophoneError: see there.
    """
    try:
        with sounddevice.InputStream(rate_hz, samples, channels=1) as stream:
            while True:
                block_sc, overflowed = stream.read(samples)
                if overflowed:
                    lost()
                yield block_sc[:, 0]
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(
            f"the microphone cannot be used at {rate_hz} Hz: {error}; see which there "
            "are with: python -m sounddevice"
        ) from error
