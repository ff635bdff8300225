"""What is said of a print, on bodies whose walls and overhangs are known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from gpu_container import printing

Body = tuple[NDArray[np.float32], NDArray[np.int32]]


def body(*meshes: trimesh.Trimesh) -> Body:
    """Finely cut, standing on the bed."""
    whole = trimesh.util.concatenate(list(meshes)).subdivide_to_size(4.0)
    whole.apply_translation((0, 0, -whole.bounds[0, 2]))
    return whole.vertices.astype(np.float32), whole.faces.astype(np.int32)


def block(size: tuple[float, float, float], middle: tuple[float, float, float] = (0, 0, 0)) -> trimesh.Trimesh:
    made = trimesh.creation.box(size)
    made.apply_translation(middle)
    return made


def box_with_wall(thickness: float) -> Body:
    """A closed box of 40 mm a side, hollow."""
    hollow = block((40 - 2 * thickness,) * 3)
    hollow.invert()
    return body(block((40, 40, 40)), hollow)


@pytest.mark.parametrize("thickness", [0.4, 1.2, 5.0])
def test_the_thinnest_wall_of_a_hollow_box_is_its_wall(thickness: float) -> None:
    told = printing.facts(*box_with_wall(thickness), 1.0)
    assert told["thinnest_wall_mm"] == pytest.approx(thickness, rel=1e-3)


def test_edges_and_corners_are_no_thin_walls() -> None:
    wedge = trimesh.creation.cone(radius=20, height=40, sections=64)
    told = printing.facts(*body(wedge), 1.0)
    assert told["thinnest_wall_mm"] is None or told["thinnest_wall_mm"] > 2
    assert printing.facts(*body(block((40, 30, 20))), 1.0)["thinnest_wall_mm"] == pytest.approx(20)


def test_a_table_hangs_over_by_its_underside_and_a_block_not_at_all() -> None:
    assert printing.facts(*body(block((40, 30, 20))), 1.0)["overhang_share"] == 0
    mushroom = block((10, 10, 30)).union(block((40, 40, 10), (0, 0, 20)), engine="manifold")
    told = printing.facts(*body(mushroom), 1.0)
    assert told["overhang_share"] == pytest.approx((40 * 40 - 10 * 10) / mushroom.area, rel=1e-3)


@pytest.mark.parametrize(("degrees", "hangs"), [(40, False), (50, True)])
def test_a_slope_hangs_over_from_45_degrees_on(degrees: float, hangs: bool) -> None:
    top = 10 + 20 * np.tan(np.radians(degrees))  # half the width of an inverted pyramid's upper side
    points = [(x, y, 0) for x in (-10, 10) for y in (-10, 10)]
    points += [(x, y, 20) for x in (-top, top) for y in (-top, top)]
    told = printing.facts(*body(trimesh.convex.convex_hull(np.array(points))), 1.0)
    assert (told["overhang_share"] > 0.1) is hangs


def test_faces_that_cross_are_counted() -> None:
    apart = body(block((10, 10, 10)), block((10, 10, 10), (20, 0, 0)))
    through = body(block((10, 10, 10)), block((10, 10, 10), (5.1, 3.3, 2.2)))
    assert printing.facts(*apart, 1.0)["self_intersections"] == 0
    assert printing.facts(*through, 1.0)["self_intersections"] > 10


def test_the_size_is_that_on_the_bed() -> None:
    told = printing.facts(*body(block((40, 30, 20))), 24000.0)
    assert (told["height_mm"], told["size_mm"], told["volume_cm3"]) == (20, [40, 30, 20], 24)
