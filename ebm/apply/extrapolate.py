"""Where somebody would be who goes on as before: what a forecast has to beat.

constant velocity   y_t = x_S + t (x_S - x_{S-1})
linear fit          y_t = a + b (S + t), with a and b of least squares over all that is seen
"""

import numpy as np

REVISION = 1


def constant_velocity(past: np.ndarray, ahead: int) -> np.ndarray:
    """Return positions, (N, T, 2), at the velocity of the last step.

    Args:
        past: (N, S, 2), S of 2 or more.
        ahead: T.

    >>> constant_velocity(np.array([[[0.0, 1.0], [2.0, 1.0]]]), 2)
    array([[[4., 1.],
            [6., 1.]]])
    """
    last, step = past[:, -1:], past[:, -1:] - past[:, -2:-1]
    return last + np.arange(1, ahead + 1)[:, None] * step


def linear_fit(past: np.ndarray, ahead: int) -> np.ndarray:
    """Return positions, (N, T, 2), on the line of least squares through all that is seen.

    Args:
        past: (N, S, 2), S of 2 or more.
        ahead: T.
    """
    seen = past.shape[1]
    times = np.arange(seen + ahead) - (seen - 1) / 2  # their mean over the past is 0
    slope = np.einsum("t,ntd->nd", times[:seen], past) / np.square(times[:seen]).sum()
    fitted: np.ndarray = past.mean(1)[:, None] + times[seen:, None] * slope[:, None]
    return fitted
