"""Networks by modality; no learning in them."""
