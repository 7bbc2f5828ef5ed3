"""Chains: Langevin dynamics, the adjusted samplers, annealing and what measures them.

A module here is named as the sampler in it, so `from ebm.samplers import langevin` is the module.
The samplers themselves: `from ebm import langevin, mala, hmc, annealed, ais, log_z, unrolled`.
"""
