"""The applications of `apply`: each reads inputs, calls ebm.apply, and makes rows and pictures."""
