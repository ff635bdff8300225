"""The fused point network against the plain formulas in double precision."""

from __future__ import annotations

import copy
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpu_container.field import RADIUS
from gpu_container.tsr.decoder import Decoder
from gpu_container.tsr.kernel import PointKernel, Precision
from gpu_container.tsr.kernel_vectors import machine
from tests import reference, scene

Floats = NDArray[np.float32]
ROOT = Path(__file__).parents[2]
#: raw density within this of the plain network's, where the scene's goes from -6 to 9; colour a tenth of it
EXACT = 1e-4
#: the same for half precision
NEAR = 0.1


def kernel_of(planes: torch.Tensor, decoder: Decoder) -> PointKernel:
    layers = [
        (layer.weight.detach().numpy(), layer.bias.detach().numpy())
        for layer in decoder.layers
        if isinstance(layer, torch.nn.Linear)
    ]
    first = layers[0][0].reshape(-1, *planes.shape[:2])
    projected = np.einsum("pchw,opc->phwo", planes.numpy(), first)
    return PointKernel(layers, np.pad(projected, ((0, 0), (1, 1), (1, 1), (0, 0))))


def exact(planes: torch.Tensor, decoder: Decoder, points: Floats) -> NDArray[np.float64]:
    """The plain network in double precision."""
    double = copy.deepcopy(decoder).double()
    with torch.no_grad():
        return reference.triplane_query(planes.double(), double, torch.from_numpy(points).double()).numpy()


def random_points(count: int, reach: float = 1.1 * RADIUS) -> Floats:
    return np.random.default_rng(count).uniform(-reach, reach, (count, 3)).astype(np.float32)


def answer(kernel: PointKernel, points: Floats, precision: Precision = "float32") -> Floats:
    out = np.full((len(points), 4), np.nan, np.float32)
    kernel.points(points, out, precision)
    return out


@pytest.fixture(scope="module")
def planes() -> torch.Tensor:
    return scene.triplane()


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder.from_state_dict(scene.decoder_weights())


@pytest.fixture(scope="module")
def kernel(planes: torch.Tensor, decoder: Decoder) -> PointKernel:
    return kernel_of(planes, decoder)


@pytest.mark.parametrize("count", [1, 5, 6, 17, 48, 49, 1000, 10_000])
def test_any_number_of_points_is_answered_like_the_plain_network(
    kernel: PointKernel, planes: torch.Tensor, decoder: Decoder, count: int
) -> None:
    points = random_points(count)
    expected = exact(planes, decoder, points)
    result = answer(kernel, points)
    np.testing.assert_allclose(result[:, 0], expected[:, 0], rtol=0, atol=EXACT)
    np.testing.assert_allclose(result[:, 1:], expected[:, 1:], rtol=0, atol=EXACT / 2)


def test_no_points_are_no_trouble(kernel: PointKernel) -> None:
    none = np.empty((0, 3), np.float32)
    assert answer(kernel, none).shape == (0, 4)
    kernel.raw_density(none, np.empty(0, np.float32))
    kernel.lattice_density(kernel.lattice(none[:, 0]), np.empty(0, np.int64), np.empty(0, np.float32))


def test_it_is_as_exact_as_the_plain_network_in_floats(
    kernel: PointKernel, planes: torch.Tensor, decoder: Decoder
) -> None:
    points = random_points(20_000)
    expected = exact(planes, decoder, points)
    with torch.no_grad():
        plain = reference.triplane_query(planes, decoder, torch.from_numpy(points)).numpy()
    assert np.abs(answer(kernel, points) - expected).mean() <= 1.5 * np.abs(plain - expected).mean()


def test_points_on_faces_edges_and_corners_and_far_outside_are_right(
    kernel: PointKernel, planes: torch.Tensor, decoder: Decoder
) -> None:
    texel = 2 * RADIUS / planes.shape[-1]
    notable = [-3 * RADIUS, -RADIUS - texel / 2, -RADIUS, -RADIUS + texel / 2, 0, texel / 2]
    axis = np.array(notable + [-value for value in notable], np.float32)
    points = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    np.testing.assert_allclose(answer(kernel, points), exact(planes, decoder, points), rtol=0, atol=EXACT)


def test_points_at_infinity_are_outside(kernel: PointKernel) -> None:
    endless = np.array([[np.inf, -np.inf, np.inf], [1e30, -1e30, 0]], np.float32)
    outside = np.full((2, 3), 3 * RADIUS, np.float32)
    outside[1, 2] = 0
    np.testing.assert_allclose(answer(kernel, endless), answer(kernel, outside), rtol=1e-6)


def test_the_golden_points_of_a_tiny_network_are_met() -> None:
    with np.load(scene.DATA / "golden_tiny.npz") as golden:
        state = {
            name.removeprefix("sd/decoder."): torch.from_numpy(golden[name])
            for name in golden.files
            if name.startswith("sd/decoder.")
        }
        planes, points = torch.from_numpy(golden["scene_codes"]), golden["points"]
        density, color = golden["query_density"], golden["query_color"]
    result = answer(kernel_of(planes, Decoder.from_state_dict(state)), points)
    np.testing.assert_allclose(result[:, :1], density, rtol=0, atol=1e-5)
    np.testing.assert_allclose(result[:, 1:], color, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("neurons", "hidden_layers"), [(5, 1), (16, 2), (64, 2), (70, 3), (130, 4)])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_networks_of_any_size_are_answered(neurons: int, hidden_layers: int, precision: Precision) -> None:
    torch.manual_seed(neurons)
    decoder = Decoder(3 * 7, neurons, hidden_layers)
    planes = torch.randn(3, 7, 9, 9)
    points = random_points(100)
    expected = exact(planes, decoder, points)
    kernel = kernel_of(planes, decoder)
    tolerance = 1e-5 if precision == "float32" else 3e-3
    np.testing.assert_allclose(answer(kernel, points, precision), expected, rtol=0, atol=tolerance)


def test_density_alone_is_the_first_column(kernel: PointKernel) -> None:
    points = random_points(1000)
    alone = np.empty(1000, np.float32)
    kernel.raw_density(points, alone)
    np.testing.assert_allclose(alone, answer(kernel, points)[:, 0], rtol=0, atol=1e-5)


def test_half_precision_is_near(kernel: PointKernel, planes: torch.Tensor, decoder: Decoder) -> None:
    points = random_points(10_000)
    error = np.abs(answer(kernel, points, "float16") - exact(planes, decoder, points))
    assert error[:, 0].max() < NEAR
    assert error[:, 1:].max() < NEAR / 10
    assert error.mean() < NEAR / 50


def test_half_precision_is_what_it_says(kernel: PointKernel) -> None:
    points = random_points(100)
    same = np.array_equal(answer(kernel, points, "float16"), answer(kernel, points))
    assert same is ("float16" not in kernel.precisions)
    assert ("float16" in kernel.precisions) is machine().half


def test_weights_too_large_for_half_precision_are_computed_in_floats(planes: torch.Tensor) -> None:
    decoder = Decoder(120, 64, 3)
    with torch.no_grad():
        decoder.layers[2].weight.mul_(1000)
    kernel = kernel_of(planes, decoder)
    points = random_points(100)
    assert kernel.precisions == ("float32",)
    np.testing.assert_array_equal(answer(kernel, points, "float16"), answer(kernel, points))


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("size", [100.0, 10_000.0])
def test_extreme_numbers_neither_overflow_nor_lose_their_sign(size: float, precision: Precision) -> None:
    # first-layer outputs of ±size, and layers that pass the numbers on: their SiLU, ten times over
    layers = [(np.eye(16, dtype=np.float32), np.zeros(16, np.float32)) for _ in range(10)]
    layers.append((np.eye(4, 16, dtype=np.float32), np.zeros(4, np.float32)))
    table = np.zeros((3, 4, 4, 16), np.float32)
    table[0, 1:3, 1:3] = size * np.array([1.0, -1.0, 1.0, -1.0] * 4)
    result = answer(PointKernel(layers, table), np.zeros((7, 3), np.float32), precision)
    if precision == "float32":
        np.testing.assert_allclose(result, [[size, 0.5, 1, 0.5]] * 7, rtol=1e-5)
    else:
        # held at 512 log 2, and a number as good as nothing
        np.testing.assert_allclose(result, [[min(size, 512 * np.log(2)), 0.5, 1, 0.5]] * 7, rtol=1e-2)


def test_a_lattice_has_the_densities_of_its_points(kernel: PointKernel) -> None:
    axis = np.linspace(-RADIUS, RADIUS, 23, dtype=np.float32)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    expected, result = np.empty(23**3, np.float32), np.empty(23**3, np.float32)
    kernel.raw_density(points, expected)
    lattice = kernel.lattice(axis)
    kernel.lattice_density(lattice, np.arange(23**3), result)
    np.testing.assert_allclose(result, expected, rtol=0, atol=EXACT)
    some = np.random.default_rng(0).permutation(23**3)[:1001]
    few = np.empty(len(some), np.float32)
    kernel.lattice_density(lattice, some, few)
    np.testing.assert_array_equal(few, result[some])


@pytest.mark.parametrize("wrong", [-1, 8])
def test_cells_outside_a_lattice_are_refused(kernel: PointKernel, wrong: int) -> None:
    lattice = kernel.lattice(np.array([0, 0.1], np.float32))
    with pytest.raises(IndexError):
        kernel.lattice_density(lattice, np.array([0, wrong]), np.empty(2, np.float32))


def test_threads_share_a_kernel(kernel: PointKernel) -> None:
    points = random_points(8000)
    out = np.empty((8000, 4), np.float32)
    parts = [slice(start, start + 777) for start in range(0, 8000, 777)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda part: kernel.points(points[part], out[part]), parts))
    np.testing.assert_array_equal(out, answer(kernel, points))


def test_points_may_be_read_only_strided_or_doubles(kernel: PointKernel) -> None:
    points = random_points(50)
    expected = answer(kernel, points)
    wide = np.zeros((50, 6))
    wide[:, ::2] = points
    points.flags.writeable = False
    np.testing.assert_array_equal(answer(kernel, points), expected)
    np.testing.assert_array_equal(answer(kernel, wide[:, ::2]), expected)


@pytest.mark.parametrize(
    "out", [np.empty((5, 3), np.float32), np.empty((5, 4)), np.empty((4, 5), np.float32).T]
)
def test_an_output_that_cannot_be_filled_is_refused(kernel: PointKernel, out: Floats) -> None:
    with pytest.raises(ValueError, match="contiguous float32"):
        kernel.points(np.zeros((5, 3), np.float32), out)


def test_tables_and_layers_that_do_not_fit_are_refused() -> None:
    layer = (np.zeros((8, 8), np.float32), np.zeros(8, np.float32))
    last = (np.zeros((4, 8), np.float32), np.zeros(4, np.float32))
    with pytest.raises(ValueError, match="planes"):
        PointKernel([layer, last], np.zeros((3, 5, 5, 7), np.float32))
    with pytest.raises(ValueError, match="layers"):
        PointKernel([layer, layer], np.zeros((3, 5, 5, 8), np.float32))


ELSEWHERE = """
import json, sys
import torch
from tests.unit import test_kernel as t
from gpu_container.tsr import kernel_loops
from gpu_container.tsr.kernel_vectors import machine
compiled_by_import = len(kernel_loops.decode.signatures)
planes, decoder = t.scene.triplane(), t.Decoder.from_state_dict(t.scene.decoder_weights())
points = t.random_points(500)
error = abs(t.answer(t.kernel_of(planes, decoder), points) - t.exact(planes, decoder, points)).max()
hits = sum(kernel_loops.decode.stats.cache_hits.values())
print(json.dumps([compiled_by_import, hits, machine().avx512, float(error)]))
"""


def run_elsewhere(cache: Path, **cpu: str) -> tuple[int, int, bool, float]:
    """Another process: signatures compiled by importing, hits of the cache, has AVX-512, the largest error."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **cpu}
    command = [sys.executable, "-c", ELSEWHERE]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=100)
    compiled, hits, avx512, error = json.loads(done.stdout)
    return compiled, hits, avx512, error


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[int, int, bool, float]]:
    """A folder for machine code, and what the first process with it said."""
    cache = tmp_path_factory.mktemp("cache")
    return cache, run_elsewhere(cache)


def test_importing_compiles_nothing_and_a_second_process_finds_the_machine_code(
    first: tuple[Path, tuple[int, int, bool, float]],
) -> None:
    cache, (compiled, hits, _, error) = first
    assert (compiled, hits) == (0, 0)
    assert error < EXACT
    assert run_elsewhere(cache)[:2] == (0, 1)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names processors of another kind")
def test_a_processor_with_shorter_vectors_gets_code_of_its_own(
    first: tuple[Path, tuple[int, int, bool, float]],
) -> None:
    cache, _ = first
    # what every x86-64 has
    _, hits, avx512, error = run_elsewhere(cache, NUMBA_CPU_NAME="x86-64", NUMBA_CPU_FEATURES="+sse2")
    assert (hits, avx512) == (0, False)
    assert error < EXACT
