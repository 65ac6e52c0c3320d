"""From folders of recordings to batches addressed by step."""
