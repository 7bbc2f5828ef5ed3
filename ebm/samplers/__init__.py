"""Chains: Langevin dynamics and the noise that drives them."""
