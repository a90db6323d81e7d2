# SPDX-License-Identifier: Apache-2.0
"""E2M1 in torch, ties to the even code."""

import torch

# Half-way points of 0 .5 1 1.5 2 3 4 6 and, for each, whether a tie goes up (to the even code).
EDGES = (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0)
TIE_UP = (False, True, False, True, False, True, False)
VALUES = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])


def fp4(x):
    code = torch.zeros(x.shape, dtype=torch.long)
    for edge, up in zip(EDGES, TIE_UP):
        code += (x.abs() >= edge) if up else (x.abs() > edge)
    return torch.copysign(VALUES[code], x)
