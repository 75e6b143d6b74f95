"""Where features vary most, which tells roughly how a head's loss curves.

L-BFGS that begins with this curvature gets nearer to the minimum in six iterations than in ten without it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

# Rows to estimate from, and directions to keep; more of both save no iteration.
SAMPLE, _DIRECTIONS = 256, 64
# Directions in which features vary less than this share of the most are noise of float32.
_LEAST = 1e-6


@dataclass(frozen=True)
class Spectrum:
    """Directions in which features vary most.

    Attributes:
      directions: float32 [D, R], orthonormal.
      variances: float32 [R], from small to large; in all other directions features vary like in the first at most.
    """

    directions: Array
    variances: Array

    @classmethod
    def of(cls, sample: Array) -> Spectrum:
        """Estimates it from the features of some photos, float32 [S, D]."""
        variances, basis = np.linalg.eigh(sample @ sample.T / len(sample))
        kept = variances > _LEAST * variances[-1]
        kept[:-_DIRECTIONS] = False
        variances = variances[kept]
        return cls(sample.T @ (basis[:, kept] / np.sqrt(len(sample) * variances)), variances)

    def precondition(self, gradient: Array, curvature: float, strength: float) -> Array:
        """Divides a gradient by the Hessian that a loss has where its curvature in each logit is the same.

        Args:
          gradient: float32 [C, D + 1], the last of the bias.
          curvature: of the loss in a logit.
          strength: of the penalty, which the bias has not.
        """
        least = self.variances[0] if self.variances.size else np.float32(1)
        rest = 1 / (curvature * least + strength)
        divided = gradient * np.float32(rest)
        further = (1 / (curvature * self.variances + strength) - rest).astype(np.float32)
        divided[:, :-1] += (gradient[:, :-1] @ self.directions * further) @ self.directions.T
        divided[:, -1] = gradient[:, -1] / np.float32(curvature)
        return divided
