/**
 * The light that matt things gather from a room, by the direction in which they look (Lambert's cosine law).
 *
 * three.js would prepare a room for mirrors, too, with hundreds of looks for each of 256 × 256 × 6 directions: seconds of
 * work where no graphics card does it, for reflections that nothing as rough as our surfaces shows.
 */

import { BackSide, BoxGeometry, CubeCamera, HalfFloatType, LinearMipmapLinearFilter, Mesh, ShaderMaterial, WebGLCubeRenderTarget } from "three"; // prettier-ignore

/** pixels of a side of the room's picture, and of what is looked at of it: small lights shall not fall between pixels */
const PICTURE = 64;
const LOOKED_AT = 16;
/** pixels of a side of the result: it changes but slowly from one direction to the next */
const GATHERED = 8;

const VERTEX = /* glsl */ `
  varying vec3 direction;
  void main() {
    direction = position;
    gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
  }`;
const FRAGMENT = /* glsl */ `
  uniform samplerCube room;
  uniform float level;
  uniform int side; // no constant: compilers would unroll the loops
  varying vec3 direction;
  void main() {
    vec3 normal = normalize(direction);
    vec4 sum = vec4(0.0);
    for (int axis = 0; axis < 3; axis++) {
      for (int k = 0; k < side * side; k++) {
        vec2 place = (vec2(k % side, k / side) + 0.5) * 2.0 / float(side) - 1.0;
        vec3 towards = axis == 0 ? vec3(1.0, place) : axis == 1 ? vec3(place.x, 1.0, place.y) : vec3(place, 1.0);
        float rise = dot(normal, towards);
        // Of two pixels that face each other one is seen. A pixel at distance d takes up 1 / d³ of the sphere,
        // and one more d makes a cosine of what rises.
        float apart = dot(towards, towards);
        sum += vec4(textureLod(room, sign(rise) * towards, level).rgb, 1.0) * abs(rise) / (apart * apart);
      }
    }
    gl_FragColor = vec4(sum.rgb / sum.a, 1.0);
  }`;

/**
 * @param {import("three").WebGLRenderer} renderer
 * @param {import("three").Scene} room
 * @returns {WebGLCubeRenderTarget} whose texture can be a scene's environment, for rough surfaces
 */
export function irradianceOf(renderer, room) {
  const seen = new WebGLCubeRenderTarget(PICTURE, { type: HalfFloatType, generateMipmaps: true, minFilter: LinearMipmapLinearFilter });
  new CubeCamera(0.1, 100, seen).update(renderer, room);
  const gathered = new WebGLCubeRenderTarget(GATHERED, { type: HalfFloatType, depthBuffer: false });
  /** @type {object[]} */ (gathered.texture.mipmaps).push({ width: GATHERED, height: GATHERED }); // one for every roughness
  gathered.texture.isPMREMTexture = true;
  const gathering = new ShaderMaterial({
    vertexShader: VERTEX,
    fragmentShader: FRAGMENT,
    uniforms: { room: { value: seen.texture }, level: { value: Math.log2(PICTURE / LOOKED_AT) }, side: { value: LOOKED_AT } },
    side: BackSide,
    depthTest: false,
    depthWrite: false,
  });
  const around = new Mesh(new BoxGeometry(2, 2, 2), gathering);
  new CubeCamera(0.1, 10, gathered).update(renderer, around);
  for (const used of [seen, around.geometry, gathering]) used.dispose();
  return gathered;
}
