"""Marching rays of a :class:`gpu_container.field.RadianceField`: the grid says where, the field what is there.

The samples are those of :mod:`gpu_container.march`. By the grid's density it is known about how much of a ray's
light each of them takes, its weight. The field is asked at those that take much, one by one; neighbours that
take little share a *layer*, which is asked at its weighted mean depth. A layer's optical depth is the grid's,
times the ratio of the field's density to the grid's at that point: for a single sample that is the field's own,
and for more of them it takes out most of the grid's error.

How thick may a layer be? If colours had nothing but hard edges, one would fall into a layer the likelier the
thicker it is, and misplace a part of its weight: the mean squared error would grow as weight² times thickness,
and be least, for a number of layers, if they were as thick as weight per sample to the power of -2/3. If
colours were smooth, it would be -1/3. Here it is -1/2.

A ray is listed in rounds, up to where little light should be left by the grid. What the field then says may
leave more; such rays go on from there.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gpu_container.compiled import compiled
from gpu_container.field import RADIUS
from gpu_container.march import interpolate, ray_in_cells, samples_to_skip

#: the most that the square roots of the weights of a layer's samples add up to
LAYER_ROOTS = 0.354
#: layers of a ray in one round
MOST_LAYERS = 16
#: a round ends where the grid leaves this part of the light there was
ROUND_END = 1 / 128
#: a ray ends where the field leaves this part of the light
DARK = 1 / 256
#: light at a ray's end not worth asking for: half a level of a picture
FAINT = 1 / 512
#: raw density that counts as nothing: a whole ray through it is covered by no more than that
NOTHING_RAW = 1.0 + math.log(FAINT)


@compiled
def list_layers(
    raw: NDArray[np.float32],
    empty: NDArray[np.uint8],
    samples: int,
    position: NDArray[np.float64],
    axes: NDArray[np.float64],
    columns: NDArray[np.float64],
    rows: NDArray[np.float64],
    next_sample: NDArray[np.int32],
    lights: NDArray[np.float64],
    counts: NDArray[np.uint8],
    depths: NDArray[np.float32],
    points: NDArray[np.float32],
) -> int:
    """One round for the rays of some columns of a picture; returns how many layers there are to be asked for.

    Args:
        raw, empty, position, axes, columns, rows: as for :func:`gpu_container.march.march_strip`; ``empty`` is
            above ``NOTHING_RAW``.
        samples: into how many parts a ray is cut.
        next_sample: in and out, ``(c * h,)`` where each ray goes on; ``samples`` where it has ended.
        lights: ``(c * h,)`` light each ray has left.
        counts: out, ``(c * h,)`` layers of each ray.
        depths: out, ``(c * h * MOST_LAYERS,)`` layers in the order of rays: optical depth over ``exp(raw)``.
        points: out, ``(c * h * MOST_LAYERS, 3)`` where to ask for their radiance.
    """
    flat = raw.ravel()
    side = raw.shape[0]
    per_unit = (side - 1) / (2 * RADIUS)
    total = 0
    ray = -1
    for column in columns:
        for row in rows:
            ray += 1
            counts[ray] = 0
            if next_sample[ray] >= samples:
                continue
            dx = axes[2, 0] + column * axes[0, 0] + row * axes[1, 0]
            dy = axes[2, 1] + column * axes[0, 1] + row * axes[1, 1]
            dz = axes[2, 2] + column * axes[0, 2] + row * axes[1, 2]
            crosses, gx0, gy0, gz0, sx, sy, sz = ray_in_cells(position, dx, dy, dz, samples, per_unit)
            i = next_sample[ray] if crosses else samples
            light = lights[ray]
            dark = light * ROUND_END
            first = total
            # the open layer: depth, weight, weight times the samples' numbers, roots of their weights
            depth, weight, moment, roots = 0.0, 0.0, 0.0, 0.0
            last = i
            while True:
                value = NOTHING_RAW
                while i < samples and light >= dark:
                    gx, gy, gz = gx0 + i * sx, gy0 + i * sy, gz0 + i * sz
                    skipped = samples_to_skip(empty, gx, gy, gz, sx, sy, sz, side)
                    if skipped == 0:
                        value = interpolate(flat, side, gx, gy, gz)
                        if value > NOTHING_RAW:
                            break
                    i += max(skipped, 1)
                at_end = value <= NOTHING_RAW
                sample_depth = math.exp(value - 1) / samples
                # where it is thin the series says the same, to 1e-6
                thin = sample_depth * (1 - 0.5 * sample_depth)
                sample_weight = light * (thin if sample_depth < 1 / 64 else 1 - math.exp(-sample_depth))
                root = math.sqrt(sample_weight)
                if weight > 0 and (at_end or roots + root > LAYER_ROOTS or i > last + 1):
                    if weight > FAINT or not at_end:
                        mean = moment / weight
                        gx, gy, gz = gx0 + mean * sx, gy0 + mean * sy, gz0 + mean * sz
                        depths[total] = depth / math.exp(interpolate(flat, side, gx, gy, gz))
                        points[total, 0] = gx / per_unit - RADIUS
                        points[total, 1] = gy / per_unit - RADIUS
                        points[total, 2] = gz / per_unit - RADIUS
                        total += 1
                    depth, weight, moment, roots = 0.0, 0.0, 0.0, 0.0
                if at_end or total - first == MOST_LAYERS:
                    break
                depth += sample_depth
                weight += sample_weight
                moment += sample_weight * i
                roots += root
                light -= sample_weight
                last = i
                i += 1
            next_sample[ray] = i
            counts[ray] = total - first
    return total


@compiled
def sum_layers(
    samples: int,
    counts: NDArray[np.uint8],
    depths: NDArray[np.float32],
    radiance: NDArray[np.float32],
    next_sample: NDArray[np.int32],
    lights: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Add a round's layers to their rays, in the order of :func:`list_layers`.

    Args:
        samples, counts, depths: as there.
        radiance: ``(n, 4)`` raw density and sRGB at the layers' points.
        next_sample: in and out, ``(rays,)``; ``samples`` where a ray ends here.
        lights: in and out, ``(rays,)`` light left.
        sums: in and out, ``(rays, 3)`` sRGB so far.
    """
    layer = 0
    for ray in range(len(counts)):
        if counts[ray] == 0:
            continue
        for _ in range(counts[ray]):
            passing = math.exp(-depths[layer] * math.exp(radiance[layer, 0]))
            weight = lights[ray] * (1 - passing)
            for channel in range(3):
                sums[ray, channel] += weight * radiance[layer, 1 + channel]
            lights[ray] *= passing
            layer += 1
        if lights[ray] < DARK:
            # what light is left takes the colour of the last layer
            for channel in range(3):
                sums[ray, channel] += lights[ray] * radiance[layer - 1, 1 + channel]
            lights[ray] = 0.0
            next_sample[ray] = samples


@compiled
def draw_strip(lights: NDArray[np.float64], sums: NDArray[np.float64], picture: NDArray[np.uint8]) -> None:
    """The rays' ``sums`` ``(rays, 3)`` over white into ``picture`` ``(h, c, 3)``."""
    ray = 0
    for column in range(picture.shape[1]):
        for row in range(picture.shape[0]):
            for channel in range(3):
                value = sums[ray, channel] + lights[ray]
                picture[row, column, channel] = int(min(max(value, 0.0), 1.0) * 255 + 0.5)
            ray += 1
