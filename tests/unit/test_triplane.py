"""The Field of a triplane gives the reference's numbers, at free points and on grids."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from gpu_container.field import SURFACE_RAW, grid_axis
from gpu_container.mesh import isosurface
from gpu_container.tsr.decoder import Decoder
from gpu_container.tsr.refine import OPACITY_ERROR, refined_grid
from gpu_container.tsr.triplane import TensorNetwork, TriplaneField, first_layer_table
from tests import reference, scene

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "data" / "golden_tiny.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN) as stored:
        return {
            name: torch.from_numpy(stored[name]) for name in stored.files if stored[name].dtype.kind in "fb"
        }


@pytest.fixture(scope="module")
def chair() -> TriplaneField:
    return TriplaneField(scene.triplane(), Decoder.from_state_dict(scene.decoder_weights()))


@pytest.fixture(scope="module")
def tiny(golden: dict[str, torch.Tensor]) -> TriplaneField:
    prefix = "sd/decoder."
    state = {name.removeprefix(prefix): it for name, it in golden.items() if name.startswith(prefix)}
    return TriplaneField(golden["scene_codes"], Decoder.from_state_dict(state))


def test_points_have_the_references_density_and_colour_also_outside_the_cube(
    golden: dict[str, torch.Tensor], tiny: TriplaneField
) -> None:
    radiance = tiny.radiance(golden["points"])
    tensor_calls = tensor_network(tiny).radiance(golden["points"])
    torch.testing.assert_close(tensor_calls, radiance, rtol=0, atol=1e-5)
    torch.testing.assert_close(radiance[:, :1], golden["query_density"], rtol=0, atol=1e-5)
    torch.testing.assert_close(radiance[:, 1:], golden["query_color"], rtol=0, atol=1e-5)
    torch.testing.assert_close(
        tiny.density(golden["points"])[:, None], golden["query_density_act"], rtol=1e-5, atol=0
    )


def test_the_plain_formulas_have_the_references_density_and_colour(
    golden: dict[str, torch.Tensor], tiny: TriplaneField
) -> None:
    radiance = reference.triplane_query(tiny.planes, tiny.decoder, golden["points"]).detach()
    torch.testing.assert_close(radiance[:, :1], golden["query_density"], rtol=0, atol=1e-5)
    torch.testing.assert_close(radiance[:, 1:], golden["query_color"], rtol=0, atol=1e-5)


def test_the_plain_formulas_render_the_references_pictures(
    golden: dict[str, torch.Tensor], tiny: TriplaneField
) -> None:
    for name in ("", "wide_"):
        rays = golden[name + "rays_o"], golden[name + "rays_d"]
        expected = golden[name + "render"]
        origins, directions = (it.reshape(-1, 3).double() for it in rays)
        picture = reference.render_rays(tiny.radiance, origins, directions, 16).reshape(expected.shape)
        torch.testing.assert_close(picture.float(), expected, rtol=0, atol=1e-4)


def test_a_grid_has_the_references_density(golden: dict[str, torch.Tensor], tiny: TriplaneField) -> None:
    expected = golden["density_grid16"].reshape(16, 16, 16)
    torch.testing.assert_close((tiny.density_grid(16) - 1).exp(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "tensor calls"])
def test_the_scene_has_the_plain_formulas_density_and_colour(chair: TriplaneField, compiled: bool) -> None:
    points = (torch.rand(50_000, 3, generator=torch.Generator().manual_seed(3)) * 2 - 1) * 0.9
    network = chair if compiled else tensor_network(chair)
    with torch.inference_mode():
        plain = reference.triplane_query(chair.planes, chair.decoder, points)
        radiance, raw = network.radiance(points), network.raw(points)
    exact_decoder = copy.deepcopy(chair.decoder).double()
    exact = reference.triplane_query(chair.planes.double(), exact_decoder, points.double()).detach()
    # as near to the truth as the plain formulas get with floats
    assert ((radiance - exact).abs().amax(0) < 2 * (plain - exact).abs().amax(0)).all()
    torch.testing.assert_close(raw, radiance[:, 0], rtol=0, atol=1e-5)


def tensor_network(field: TriplaneField) -> TensorNetwork:
    """What evaluates points on another device than the CPU."""
    linear = [layer for layer in field.decoder.layers if isinstance(layer, torch.nn.Linear)]
    layers = [(layer.weight.detach(), layer.bias.detach()) for layer in linear]
    return TensorNetwork(layers, first_layer_table(field.planes, layers[0][0]))


def test_density_and_colour_are_parts_of_the_radiance(chair: TriplaneField) -> None:
    points = (torch.rand(1000, 3, generator=torch.Generator().manual_seed(4)) * 2 - 1) * 0.8
    radiance = chair.radiance(points)
    torch.testing.assert_close(chair.density(points), (radiance[:, 0] - 1).exp())
    assert torch.equal(chair.color(points), radiance[:, 1:])


def test_a_field_moved_is_the_same_field(chair: TriplaneField) -> None:
    points = torch.rand(100, 3)
    assert torch.equal(chair.to(torch.device("cpu")).radiance(points), chair.radiance(points))


def test_no_points_have_no_colours(chair: TriplaneField) -> None:
    assert chair.color(torch.empty(0, 3)).shape == (0, 3)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("resolution", [80, 130, 256])
def test_the_scenes_surface_is_that_of_the_dense_grid(chair: TriplaneField, resolution: int) -> None:
    grid = chair.density_grid(resolution)
    axis = grid_axis(resolution)
    dense = refined_grid(lambda at: chair.raw(axis[at]), resolution, 1, chair.ray_samples)
    # beyond rounding no sample changes sides
    assert ((grid > SURFACE_RAW) == (dense > SURFACE_RAW))[(dense - SURFACE_RAW).abs() > 1e-5].all()
    (vertices, faces), (expected, expected_faces) = isosurface(grid), isosurface(dense)
    np.testing.assert_array_equal(faces, expected_faces)
    np.testing.assert_allclose(vertices, expected, rtol=0, atol=1e-4)
    opacity, expected_opacity = (1 - torch.exp(-torch.exp(it - 1) / 128) for it in (grid, dense))
    assert (opacity - expected_opacity).abs().max() < OPACITY_ERROR
