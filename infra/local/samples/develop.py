"""From the film to the picture: the grain smoothed where nothing but chance made it, the tone curve, the JPEG.

The smoothing is a cross-bilateral filter guided by noise-free features and weighed by the measured variance,
in the spirit of C. Schied and others, "Spatiotemporal variance-guided filtering" (2017), without the time.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from infra.local.samples.shapes import compiled

QUALITY = 93


@compiled
def _smooth(
    light: NDArray[np.float64],
    guide: NDArray[np.float64],
    variance: NDArray[np.float64],
    strength: float,
    radius: int,
    colour_weight: float,
) -> NDArray[np.float64]:
    """(h, w, 3) means of the neighbours that lie on the same surface and differ no more than their noise."""
    height, width, _ = light.shape
    result = np.zeros_like(light)
    for row in range(height):
        for column in range(width):
            middle = guide[row, column]
            level = (light[row, column, 0] + light[row, column, 1] + light[row, column, 2]) / 3.0
            total = red = green = blue = 0.0
            for i in range(max(row - radius, 0), min(row + radius + 1, height)):
                for j in range(max(column - radius, 0), min(column + radius + 1, width)):
                    other = guide[i, j]
                    paint = 0.0
                    turn = 0.0
                    for k in range(3):
                        paint += (middle[k] - other[k]) ** 2
                        turn += (middle[3 + k] - other[3 + k]) ** 2
                    near = (light[i, j, 0] + light[i, j, 1] + light[i, j, 2]) / 3.0
                    noise = variance[row, column] + variance[i, j] + 1e-8
                    apart = (middle[6] - other[6]) ** 2
                    distance = (i - row) ** 2 + (j - column) ** 2
                    weight = math.exp(
                        -paint * colour_weight
                        - turn * 120.0
                        - apart * 900.0
                        - (near - level) ** 2 / (strength * noise)
                        - 2.0 * distance / (radius * radius)
                    )
                    total += weight
                    red += weight * light[i, j, 0]
                    green += weight * light[i, j, 1]
                    blue += weight * light[i, j, 2]
            result[row, column, 0] = red / total
            result[row, column, 1] = green / total
            result[row, column, 2] = blue / total
    return result


def _blur(field: NDArray[np.float64]) -> NDArray[np.float64]:
    """(h, w) mean over 5 by 5 pixels: a variance measured from few samples is itself noisy."""
    padded = np.pad(field, 2, mode="edge")
    shifted = [padded[i : i + field.shape[0], j : j + field.shape[1]] for i in range(5) for j in range(5)]
    return np.asarray(np.mean(shifted, axis=0), np.float64)


def develop(film: NDArray[np.float64], samples: int, exposure: float) -> NDArray[np.uint8]:
    """(h, w, 3) sRGB from a film of ``tracer.CHANNELS``; exposure multiplies the light."""
    albedo = np.maximum(film[..., 6:9], 1e-3)
    guide = np.concatenate([albedo, film[..., 9:13]], axis=-1)
    diffuse = film[..., 0:3] / albedo
    gloss = film[..., 3:6]
    diffuse_variance = _blur(np.maximum(film[..., 13] - diffuse[..., 1] ** 2, 0.0)) / samples
    gloss_variance = _blur(np.maximum(film[..., 14] - gloss[..., 1] ** 2, 0.0)) / samples
    diffuse = _smooth(diffuse, guide, diffuse_variance, 4.0, 6, 4.0)
    gloss = _smooth(gloss, guide, gloss_variance, 2.5, 3, 20.0)
    return tone(exposure * (albedo * diffuse + gloss))


def tone(light: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Linear light to sRGB bytes: straight in the shadows and mid tones, a shoulder that never clips above."""
    knee = 0.55
    over = np.maximum(light - knee, 0.0) / (1.0 - knee)
    rolled = np.where(light < knee, light, knee + (1.0 - knee) * (1.0 - np.exp(-over)))
    # bright colours pale a little towards white, as on film
    peak = rolled.max(axis=-1, keepdims=True)
    rolled = rolled + (peak - rolled) * 0.25 * np.clip(
        (light.max(axis=-1, keepdims=True) - 0.9) / 2.0, 0.0, 1.0
    )
    curve = np.where(rolled <= 0.0031308, rolled * 12.92, 1.055 * np.maximum(rolled, 1e-9) ** (1 / 2.4) - 0.055)
    return np.asarray(np.clip(curve * 255 + 0.5, 0, 255), np.uint8)


def save(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a JPEG whose colours are kept at full resolution: painted edges stay crisp."""
    Image.fromarray(picture).save(path, quality=QUALITY, subsampling=0, optimize=True)
