"""The stages: each reads artefacts, calls `ebm`, and writes artefacts."""
