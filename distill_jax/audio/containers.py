"""What sound containers promise, where libsndfile takes less without a word.

libsndfile shortens a cut WAV, AIFF or Ogg file to what is left of it, skips
damaged Ogg pages, and stops an MP3 that does not count its frames where it guesses
the end. FLAC needs no help: its header counts the samples and every frame has a
checksum.
"""

import os
import re
import struct
import zlib

MP3_FRAME = 1152
MP3_RATES_HZ = (44100, 48000, 32000)
MP3_KBITS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MP3_KBITS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
# Sizes that programs write while they do not know how long a stream will be.
STREAMED = 0x7FFFF000
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def missing(path):
    """Why a WAV, AIFF or Ogg file must be cut off, or an Ogg file damaged.

    Args:
      path: file of any kind.

    Returns:
      The reason, or "" where the container is whole or of another kind.

    Raises:
      OSError: the file cannot be read.

    Source: RFC 3533 (Ogg); the RIFF and AIFF specifications.
    """
    with open(path, "rb") as file:
        kind, size = file.read(4), os.fstat(file.fileno()).st_size
        if kind == b"OggS":
            return _broken_page(kind + file.read())
        if kind in (b"RIFF", b"FORM"):
            return _missing_bytes(file, "<" if kind == b"RIFF" else ">", size)
    return ""


def least_frames(path, promised):
    """How many samples an MP3 must decode to if it is whole.

    Args:
      path: MP3 file.
      promised: its length as libsndfile says: right where the file has a Xing or
        Info table, else a guess from the bit rate of the first frame.

    Returns:
      int, two frames of 1,152 samples below the length for the decoder's delay.

    Raises:
      OSError: the file cannot be read.

    Source: ISO/IEC 11172-3 section 2.4.2.3, ISO/IEC 13818-3 section 2.4.2.3.
    """
    with open(path, "rb") as file:
        data = file.read()
    start = 0
    if data[:3] == b"ID3":
        start = 10 + sum((byte & 127) << 7 * i for i, byte in enumerate(data[9:5:-1]))
    counted = re.search(b"Xing|Info", data[start : start + 2048])
    return (promised if counted else _mp3_samples(data, start)) - 2 * MP3_FRAME


def _mp3_samples(data, at):
    """Walks the frames of MPEG 1, 2 and 2.5, layer III."""
    samples = 0
    while (size := _mp3_frame(data[at : at + 4])[0]) and at + size <= len(data):
        samples += _mp3_frame(data[at : at + 4])[1]
        at += size
    return samples


def _mp3_frame(head):
    """Bytes and samples of the frame with this header; 0 if it is none."""
    word = int.from_bytes(head, "big")
    version, layer = word >> 19 & 3, word >> 17 & 3
    step, speed = word >> 12 & 15, word >> 10 & 3
    if len(head) < 4 or word >> 21 != 0x7FF or version == 1 or layer != 1:
        return 0, 0
    if step in (0, 15) or speed == 3:
        return 0, 0
    first = version == 3
    rate_hz = MP3_RATES_HZ[speed] >> (0 if first else 1 + (version == 0))
    samples = MP3_FRAME if first else MP3_FRAME // 2
    bits = 1000 * (MP3_KBITS_1 if first else MP3_KBITS_2)[step - 1]
    return samples // 8 * bits // rate_hz + (word >> 9 & 1), samples


def _missing_bytes(file, order, size):
    """Walks the chunks of RIFF (little-endian) or FORM (big-endian)."""
    at = 12
    while at + 8 <= size:
        file.seek(at)
        name, promised = struct.unpack(order + "4sI", file.read(8))
        if name in (b"data", b"SSND"):
            lost = at + 8 + promised - size
            if lost > 0 and promised < STREAMED:
                return f"{lost:,} of {promised:,} bytes of samples are not there"
            return ""
        at += 8 + promised + promised % 2
    return "the chunk that holds the samples is not there"


def _broken_page(pages):
    """Walks the pages of an Ogg file and compares each with its own checksum."""
    at, ended, numbers = 0, False, {}
    while (head := pages[at : at + 27])[:4] == b"OggS" and len(head) == 27:
        end = at + 27 + head[26]
        end += sum(pages[at + 27 : end])
        flags, serial, number, checksum = struct.unpack("<xB8xIII", head[4:26])
        body = head[:22] + bytes(4) + pages[at + 22 + 4 : end]
        if end > len(pages) or _checksum(body) != checksum:
            return f"the page at byte {at:,} of {len(pages):,} is damaged or cut off"
        if number != numbers.get(serial, number):
            return f"pages are missing before byte {at:,}"
        at, ended, numbers[serial] = end, bool(flags & 4), number + 1
    if pages.find(b"OggS", at) >= 0:
        return f"the bytes from {at:,} on are damaged"
    return "" if ended else "the page that ends the stream is not there"


def _checksum(data):
    """CRC-32 with bits in the order of RFC 3533, which is not zlib's."""
    crc = zlib.crc32(data.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(REVERSED), "big")
