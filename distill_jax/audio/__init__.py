"""Waveforms, spectrograms and what lies between them; files on disk."""
