/** The wall behind the model: a gradient over the whole picture, finer than a screen's steps. */

import { BufferAttribute, BufferGeometry, Mesh, ShaderMaterial, Vector3 } from "three";

// Colours are a display's own: no tone mapping touches them, so the wall meets the page without a seam.
const VERTEX = /* glsl */ `
  varying vec2 place;
  void main() {
    place = position.xy * 0.5 + 0.5;
    gl_Position = vec4(position.xy, 1.0, 1.0);
  }`;
// Jimenez 2014, "Next generation post processing in Call of Duty": gradient noise that hides the steps of 8 bits.
const FRAGMENT = /* glsl */ `
  uniform vec3 high;
  uniform vec3 low;
  varying vec2 place;
  void main() {
    float glow = 1.0 - smoothstep(0.0, 0.75, distance(place, vec2(0.5, 0.62)));
    float rise = clamp(smoothstep(-0.05, 0.95, place.y) + 0.3 * glow, 0.0, 1.0);
    float noise = fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715)))) - 0.5;
    gl_FragColor = vec4(mix(low, high, rise) + noise / 255.0, 1.0);
  }`;

export class Backdrop {
  #material = new ShaderMaterial({
    vertexShader: VERTEX,
    fragmentShader: FRAGMENT,
    uniforms: { high: { value: new Vector3() }, low: { value: new Vector3() } },
    depthTest: false,
    depthWrite: false,
  });

  constructor() {
    const triangle = new BufferGeometry(); // one that reaches beyond the picture has no seam along a diagonal
    triangle.setAttribute("position", new BufferAttribute(new Float32Array([-1, -1, 0, 3, -1, 0, -1, 3, 0]), 3));
    this.mesh = new Mesh(triangle, this.#material);
    this.mesh.frustumCulled = false;
    this.mesh.renderOrder = -1;
  }

  /** @param {import("./palette.js").Palette} palette */
  paint({ high, low }) {
    this.#material.uniforms.high.value.set(...high);
    this.#material.uniforms.low.value.set(...low);
  }

  dispose() {
    this.mesh.geometry.dispose();
    this.#material.dispose();
  }
}
