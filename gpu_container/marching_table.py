"""Which triangles cross a cell of a grid, for every way in which its corners can lie inside and outside.

A cell's corner ``4 x + 2 y + z`` has the coordinates x, y, z in 0 and 1. An edge along axis a is number
``4 a + 2 u + v``, with u and v its coordinates on the other two axes, in their order. Face ``2 a + s`` is that
across axis a, on side s.

On each face the surface is a set of lines between crossed edges. Where two corners that face each other are
inside and the other two outside, there are two ways to draw them: the corners inside are joined, or not
(Nielson & Hamann, "The asymptotic decider", 1991). Either way a crossed edge ends one line on each of its two
faces, and so all lines of a cell make closed loops, each the border of a few triangles.

Two cells that share a face draw the same lines on it, so nothing is open. No triangle has a side within a face
but for those lines, so no side belongs to more than two triangles. (Some loops can be filled so only around a
vertex of their own, in the cell.) And all that meets in a crossed edge are the loops of the four cells around
it, one of each: the surface is a manifold, whatever the grid holds.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Triangle = tuple[int, int, int]
#: in place of an edge: the vertex that a loop has in the cell; no more than one loop of a cell needs one
CENTER = 12


class Table(NamedTuple):
    """The triangles, as flat arrays for compiled code. A case is a bit for each corner: is it inside?"""

    #: ``(6, 4)`` corners of each face, in turn
    faces: NDArray[np.int32]
    #: ``(256,)`` a bit for each face that can be drawn in two ways
    ambiguous: NDArray[np.int32]
    #: ``(256,)`` the number of a case's first variant; to it a bit is added for each of its ambiguous faces, in
    #: their order: are the corners inside joined?
    variant: NDArray[np.int32]
    #: ``(v + 1,)`` where each variant's triangles begin
    first: NDArray[np.int32]
    #: ``(t, 3)`` crossed edges or ``CENTER``, counter-clockwise seen from outside the object
    triangles: NDArray[np.int32]
    #: ``(v,)`` a bit for each edge of the loop around ``CENTER``; 0 where there is none
    around: NDArray[np.int32]


@cache
def table() -> Table:
    """All cases and variants."""
    faces = [_around(face) for face in range(6)]
    ambiguous, variants, first, around = [], [], [0], []
    triangles: list[Triangle] = []
    for case in range(256):
        inside = [bool(case >> corner & 1) for corner in range(8)]
        open_faces = [face for face in range(6) if _is_ambiguous([inside[c] for c in faces[face]])]
        ambiguous.append(sum(1 << face for face in open_faces))
        variants.append(len(first) - 1)
        for choice in range(1 << len(open_faces)):
            joined = {face for bit, face in enumerate(open_faces) if choice >> bit & 1}
            around.append(0)
            for loop in _loops(inside, faces, joined):
                filled = _filled(tuple(loop))
                if filled is None:
                    filled = [(edge, after, CENTER) for edge, after in pairwise([*loop, loop[0]])]
                    around[-1] = sum(1 << edge for edge in loop)
                triangles += filled
            first.append(len(triangles))
    return Table(*(np.array(each, np.int32) for each in (faces, ambiguous, variants, first, triangles, around)))


def _around(face: int) -> list[int]:
    """A face's corners, counter-clockwise seen from outside the cell."""
    axis, side = divmod(face, 2)
    bit, next_bit, other_bit = (4 >> (axis + turn) % 3 for turn in range(3))
    turned = [0, next_bit, next_bit | other_bit, other_bit]
    return [bit * side | corner for corner in (turned if side else turned[::-1])]


def _is_ambiguous(inside: list[bool]) -> bool:
    return inside[0] == inside[2] != inside[1] == inside[3]


def _edge(one: int, other: int) -> int:
    """The number of the edge between two corners."""
    axis = {4: 0, 2: 1, 1: 2}[one ^ other]
    u, v = (one >> 2 - rest & 1 for rest in range(3) if rest != axis)
    return 4 * axis + 2 * u + v


def _loops(inside: list[bool], faces: list[list[int]], joined: set[int]) -> list[list[int]]:
    """The closed loops of crossed edges, counter-clockwise seen from outside the object."""
    follower = {}
    for face, corners in enumerate(faces):
        # going round a face: from where the object is entered to where it is left, before that or after
        turn = [*corners, corners[0]]
        crossed = [(_edge(a, b), inside[a]) for a, b in pairwise(turn) if inside[a] != inside[b]]
        for place, (edge, leaves) in enumerate(crossed):
            if leaves:
                entered = crossed[(place + (1 if face in joined else -1)) % len(crossed)][0]
                follower[entered] = edge
    loops = []
    while follower:
        loop = [next(iter(follower))]
        while (edge := follower.pop(loop[-1])) != loop[0]:
            loop.append(edge)
        loops.append(loop)
    return loops


def _filled(loop: tuple[int, ...]) -> list[Triangle] | None:
    """Triangles within ``loop``, with no side in a face of the cell but the loop's own; or None."""
    if len(loop) == 2:
        return []
    for place in range(1, len(loop) - 1):
        before, after = loop[: place + 1], loop[place:]
        if any(len(part) > 2 and _share_face(part[0], part[-1]) for part in (before, after)):
            continue
        parts = [_filled(before), _filled(after)]
        if parts[0] is not None and parts[1] is not None:
            return [*parts[0], (loop[0], loop[place], loop[-1]), *parts[1]]
    return None


def _share_face(one: int, other: int) -> bool:
    return bool(_faces_of(one) & _faces_of(other))


def _faces_of(edge: int) -> set[int]:
    axis, u, v = edge >> 2, edge >> 1 & 1, edge & 1
    first, second = (rest for rest in range(3) if rest != axis)
    return {2 * first + u, 2 * second + v}
