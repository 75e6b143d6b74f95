"""L-BFGS in float32: what fits the head.

scipy's does the same in float64 and takes twice the time of the losses themselves at 100 classes.
"""

from collections import deque
from collections.abc import Callable

import numpy as np

Array = np.ndarray

# Relative gain of one iteration below which a search is done.
TOLERANCE = 1e-5


def minimize(
    function: Callable[[Array], tuple[float, Array]],
    start: Array,
    iterations: int,
    precondition: Callable[[Array], Array] | None = None,
    known: tuple[float, Array] | None = None,
) -> tuple[Array, float, Array]:
    """Minimizes a smooth convex function, of a point to its value and gradient, float32, by L-BFGS.

    Args:
      precondition: multiplies a gradient by a positive definite matrix, roughly the inverse Hessian; by default by 1.
      known: value and gradient of the start, if they are.

    Returns:
      The point of the least value that was found, its value and its gradient.

    Source:
      Nocedal & Wright 2006, "Numerical Optimization", algorithm 7.4 (two loops), 3.1 (backtracking).
    """
    point, (value, gradient) = start, known or function(start)
    memory: deque[tuple[Array, Array, float]] = deque(maxlen=10)
    for _ in range(iterations):
        direction = -_inverse_hessian_times(gradient, memory, precondition)
        slope = float(np.vdot(direction, gradient))
        step = 1.0 if memory or precondition else 1.0 / max(1.0, float(np.linalg.norm(gradient)))
        while True:
            trial = point + np.float32(step) * direction
            new_value, new_gradient = function(trial)
            if new_value <= value + 1e-4 * step * slope or step < 1e-6:
                break
            step /= 2
        moved, turned = trial - point, new_gradient - gradient
        curvature = float(np.vdot(moved, turned))
        if curvature > 0:
            memory.append((moved, turned, 1.0 / curvature))
        gain = value - new_value
        if gain <= 0:
            break
        point, value, gradient = trial, new_value, new_gradient
        if gain <= TOLERANCE * max(abs(value), 1e-3):
            break
    return point, value, gradient


def _inverse_hessian_times(vector: Array, memory: deque, precondition: Callable[[Array], Array] | None) -> Array:
    result, weights = vector.copy(), []
    for moved, turned, scale in reversed(memory):
        weights.append(scale * float(np.vdot(moved, result)))
        result -= np.float32(weights[-1]) * turned
    if precondition:
        result = precondition(result)
    if memory:
        moved, turned, scale = memory[-1]
        multiplied = precondition(turned) if precondition else turned
        result *= np.float32(1.0 / (scale * float(np.vdot(turned, multiplied))))
    for (moved, turned, scale), weight in zip(memory, reversed(weights), strict=True):
        result += np.float32(weight - scale * float(np.vdot(turned, result))) * moved
    return result
