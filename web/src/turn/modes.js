/** Textured, clay, wireframe, normals: what the surface is made of. */

import { Color, LineBasicMaterial, MeshNormalMaterial, MeshStandardMaterial, SRGBColorSpace } from "three";

/** @typedef {"textured" | "clay" | "wireframe" | "normals"} Mode */

/** @type {ReadonlyArray<readonly [Mode, label: string]>} */
export const MODES = [
  ["textured", "Textured"],
  ["clay", "Clay"],
  ["wireframe", "Wireframe"],
  ["normals", "Normals"],
];

/** The photo's own light is in the texture already: so much of it is shown as it is, the lamp adds the rest. */
const OWN_LIGHT = 0.4;
/** plaster, before any light falls on it */
const PLASTER = "#efe8dc";

/**
 * @param {MeshStandardMaterial} textured as the file has it
 * @param {number} anisotropy
 */
export function materialsFor(textured, anisotropy) {
  const { map, normalMap, aoMap } = textured;
  const pictures = [map, normalMap, aoMap].filter((picture) => picture !== null);
  if (map) {
    map.anisotropy = anisotropy;
    textured.emissiveMap = map;
    textured.emissive = new Color(0xffffff);
    textured.emissiveIntensity = OWN_LIGHT;
  }
  const clay = new MeshStandardMaterial({ color: PLASTER, roughness: 0.92, emissive: PLASTER, emissiveIntensity: 0.16 });
  const wireframe = new MeshStandardMaterial({ roughness: 1, polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 1 });
  const normals = new MeshNormalMaterial();
  const lines = new LineBasicMaterial({ transparent: true, opacity: 0.5, toneMapped: false });
  return {
    textured,
    clay,
    wireframe,
    normals,
    lines,
    /** that the model is painted with: colour, relief, ambient occlusion */
    pictures,

    /** @param {import("./palette.js").Palette} palette */
    paint({ plinth, ink }) {
      wireframe.color.setRGB(...plinth, SRGBColorSpace);
      lines.color.setRGB(...ink, SRGBColorSpace);
    },

    dispose() {
      for (const picture of pictures) {
        const { image } = picture;
        picture.dispose();
        if (image instanceof ImageBitmap) image.close();
      }
      for (const material of [textured, clay, wireframe, normals, lines]) material.dispose();
    },
  };
}
