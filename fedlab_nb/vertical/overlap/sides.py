"""The gradient of transfer learning, unit by unit, as sums of products of what one owner has with what the other has.

A has labels y in {-1, 1} of all its rows, B has none; N rows are in common. Each owner makes of a row its
representation u = tanh(x W), h units wide. A's labels give the direction p = mean of y u^A over all rows of A, and a
row of B has the score f = p . u^B. The loss is

    L = 1/N sum_i [ ln 2 - y_i f_i / 2 + f_i**2 / 8 ] + g/(2N) sum_i |u^A_i - u^B_i|**2 + l/2 (|W_A|**2 + |W_B|**2)

over rows in common: the logistic loss to second order in f, how far representations are apart, and a penalty. With
s = 1 - u**2, and a unit's column of the other inputs' products written out, the gradient at unit k of B is

    N dL/dW_B[:, k] = sum_i (x_i s_ik) (-y_i p_k / 2 - g u^A_ik) + sum_l T_kl (p_k p_l / 4) + g sum_i x_i s_ik u^B_ik
    with T_kl = sum_i x_i s_ik u^B_il,

and that of A, with R_k = mean over all rows of A of y x s_k and M_kl = sum_i u^B_ik u^B_il,

    N dL/dW_A[:, k] = sum_i (-y_i R_k / 2 - g x_i s_ik) u^B_ik + sum_l (R_k p_l / 4) M_kl + g sum_i x_i s_ik u^A_ik.

In each line the first two sums are over products of what the one owner has with what the other has: over N rows and h
units, stacked here as if they were N + h rows.

Source: Liu, Kang, Chen, Yang 2018, "Secure federated transfer learning", sections 3 and 4, with the squared distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Side:
    """What an owner without labels has of the rows in common in one round: inputs ``X`` (N, d), and ``u`` (N, h)."""

    X: Floats
    u: Floats

    @property
    def s(self) -> Floats:
        """The slope of each unit (N, h)."""
        return np.asarray(1.0 - self.u**2)

    def own(self, k: int, closeness: float) -> Floats:
        """The part (d,) of N times unit k's gradient that takes nothing of the other owner."""
        return np.asarray(closeness * (self.X.T @ (self.s[:, k] * self.u[:, k])))

    def given(self, k: int, closeness: float) -> Floats:  # noqa: ARG002 - both sides are asked alike
        """What the other owner multiplies for its unit k (N + h,): at most 1 each."""
        return np.append(self.u[:, k], self.u.T @ self.u[:, k] / len(self.u))

    def taken(self, k: int, closeness: float) -> Floats:  # noqa: ARG002
        """What is multiplied with the other's ``given`` for the own unit k (N + h, d)."""
        moved = self.X * self.s[:, k : k + 1]
        return np.vstack([moved, self.u.T @ moved])


@dataclass(frozen=True, eq=False, repr=False)
class Labelled(Side):
    """What the owner of the labels has: also ``y`` (N,) of -1 and 1, and of all its rows ``p`` (h,), ``R`` (d, h)."""

    y: Floats
    p: Floats
    R: Floats

    def given(self, k: int, closeness: float) -> Floats:
        """What the other owner multiplies for its unit k (N + h,): at most 1/2 + closeness each."""
        return np.append(-0.5 * self.y * self.p[k] - closeness * self.u[:, k], 0.25 * self.p[k] * self.p)

    def taken(self, k: int, closeness: float) -> Floats:
        """What is multiplied with the other's ``given`` for the own unit k (N + h, d)."""
        rows = -0.5 * np.outer(self.y, self.R[:, k]) - closeness * self.X * self.s[:, k : k + 1]
        return np.vstack([rows, 0.25 * len(self.u) * np.outer(self.p, self.R[:, k])])


def represent(X: Floats, weights: Floats) -> Floats:
    """The representation (n, h) of rows (n, d) under ``weights`` (d, h)."""
    return np.asarray(np.tanh(X @ weights))


def side(X: Floats, weights: Floats) -> Side:
    """The side of an owner without labels."""
    return Side(X, represent(X, weights))


def labelled(X: Floats, y: Floats, all_X: Floats, all_y: Floats, weights: Floats) -> Labelled:
    """The side of the owner of the labels: of the rows in common, and of all its rows."""
    u = represent(all_X, weights)
    R = (all_X * all_y[:, None]).T @ (1.0 - u**2) / len(u)
    return Labelled(X, represent(X, weights), y, direction(all_X, all_y, weights), R)


def direction(all_X: Floats, all_y: Floats, weights: Floats) -> Floats:
    """The direction p (h,): the mean over all labelled rows of label times representation."""
    return np.asarray(all_y @ represent(all_X, weights) / len(all_y))
