/**
 * The shadow of things that do not move on a level floor, drawn once.
 *
 * For each of some directions of light everything is flattened onto the floor along that direction and drawn into a
 * picture; the pictures, weighed, are summed. What comes out is the share of the light that the floor misses: sharp where
 * something touches it, soft where it hovers, as under a wide lamp. A slight blur hides that the directions are few.
 */

import {
  AddEquation, CustomBlending, DoubleSide, HalfFloatType, Matrix4, Mesh, MeshBasicMaterial, OneFactor, OrthographicCamera, PlaneGeometry,
  Scene, ShaderMaterial, WebGLRenderTarget, ZeroFactor,
} from "three"; // prettier-ignore

const PIXELS = 256;

const FULL = /* glsl */ `
  varying vec2 place;
  void main() {
    place = uv;
    gl_Position = vec4(position.xy, 0.0, 1.0);
  }`;
const SUM = /* glsl */ `
  uniform sampler2D picture;
  uniform float weight;
  varying vec2 place;
  void main() { gl_FragColor = vec4(texture2D(picture, place).r * weight); }`;
const SMOOTH = /* glsl */ `
  uniform sampler2D picture;
  uniform vec2 along;
  varying vec2 place;
  void main() {
    float sum = 0.0;
    float weights = 0.0;
    for (int k = -4; k <= 4; k++) {
      float weight = exp(-float(k * k) / 8.0);
      sum += weight * texture2D(picture, place + along * float(k)).r;
      weights += weight;
    }
    gl_FragColor = vec4(sum / weights);
  }`;
const ON_FLOOR = /* glsl */ `
  varying vec2 place;
  void main() {
    place = uv;
    gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
  }`;
const SHOWN = /* glsl */ `
  uniform sampler2D picture;
  uniform float strength;
  uniform float rim;
  varying vec2 place;
  void main() {
    float off = distance(place, vec2(0.5)) * 2.0;
    float edge = 1.0 - smoothstep(rim, 1.0, off);
    gl_FragColor = vec4(vec3(0.0), texture2D(picture, place).r * strength * edge);
  }`;

export class SoftShadow {
  /** half floats: hundreds of faint layers must not vanish in rounding */
  #sum = new WebGLRenderTarget(PIXELS, PIXELS, { type: HalfFloatType, depthBuffer: false });
  #layer = new WebGLRenderTarget(PIXELS, PIXELS, { type: HalfFloatType, depthBuffer: false });
  #camera;
  #y;
  #blur;
  #shown;

  /**
   * @param {{ side: number, y: number, rim: number, blur: number }} floor a square of that side around the y axis; its
   *   shadow fades from `rim` (share of half the side) outwards; `blur`: pixels from one of its taps to the next
   */
  constructor({ side, y, rim, blur }) {
    this.#y = y;
    this.#blur = blur;
    this.#camera = new OrthographicCamera(-side / 2, side / 2, side / 2, -side / 2, -100, 100);
    this.#camera.rotation.x = -Math.PI / 2; // from above, -z on top
    this.#camera.updateMatrixWorld();
    this.#shown = new ShaderMaterial({
      vertexShader: ON_FLOOR,
      fragmentShader: SHOWN,
      uniforms: { picture: { value: this.#sum.texture }, strength: { value: 1 }, rim: { value: rim } },
      transparent: true,
      depthWrite: false,
      polygonOffset: true,
      polygonOffsetFactor: -1,
      polygonOffsetUnits: -4,
    });
    this.mesh = new Mesh(new PlaneGeometry(side, side), this.#shown);
    this.mesh.rotation.x = -Math.PI / 2;
    this.mesh.position.y = y;
  }

  /** @param {number} strength 0..1: how dark a spot is that no light reaches */
  set strength(strength) {
    this.#shown.uniforms.strength.value = strength;
  }

  /** bytes on the graphics card */
  get bytes() {
    return 2 * PIXELS * PIXELS * 8;
  }

  /**
   * @param {import("three").WebGLRenderer} renderer
   * @param {Mesh[]} things none of them below the floor
   * @param {import("./sky.js").Ray[]} rays
   */
  bake(renderer, things, rays) {
    const white = new MeshBasicMaterial({ side: DoubleSide, depthTest: false, depthWrite: false, toneMapped: false });
    const flattened = new Scene();
    const shear = new Matrix4();
    for (const { geometry } of things) {
      const flat = new Mesh(geometry, white);
      flat.frustumCulled = false;
      flat.matrixAutoUpdate = false;
      flattened.add(flat);
    }
    const square = new PlaneGeometry(2, 2);
    const add = new ShaderMaterial({
      vertexShader: FULL,
      fragmentShader: SUM,
      uniforms: { picture: { value: this.#layer.texture }, weight: { value: 0 } },
      blending: CustomBlending,
      blendEquation: AddEquation,
      blendSrc: OneFactor,
      blendDst: OneFactor,
      depthTest: false,
      depthWrite: false,
    });
    const smooth = new ShaderMaterial({
      vertexShader: FULL,
      fragmentShader: SMOOTH,
      uniforms: { picture: { value: null }, along: { value: [0, 0] } },
      blending: CustomBlending,
      blendEquation: AddEquation,
      blendSrc: OneFactor,
      blendDst: ZeroFactor,
      depthTest: false,
      depthWrite: false,
    });
    const adding = new Scene().add(new Mesh(square, add));
    const smoothing = new Scene().add(new Mesh(square, smooth));
    for (const quad of [...adding.children, ...smoothing.children]) quad.frustumCulled = false;

    const before = { color: renderer.getClearAlpha(), autoClear: renderer.autoClear };
    renderer.autoClear = false;
    renderer.setClearAlpha(0);
    renderer.setRenderTarget(this.#sum);
    renderer.clear();
    for (const { x, y, z, weight } of rays) {
      shear.set(1, -x / y, 0, (this.#y * x) / y, 0, 1, 0, 0, 0, -z / y, 1, (this.#y * z) / y, 0, 0, 0, 1);
      flattened.children.forEach((flat, k) => flat.matrix.multiplyMatrices(shear, things[k].matrixWorld));
      flattened.updateMatrixWorld(true);
      renderer.setRenderTarget(this.#layer);
      renderer.clear();
      renderer.render(flattened, this.#camera);
      add.uniforms.weight.value = weight;
      renderer.setRenderTarget(this.#sum);
      renderer.render(adding, this.#camera);
    }
    const step = this.#blur / PIXELS;
    for (const [from, to, along] of /** @type {const} */ ([[this.#sum, this.#layer, [step, 0]], [this.#layer, this.#sum, [0, step]]])) {
      smooth.uniforms.picture.value = from.texture;
      smooth.uniforms.along.value = along;
      renderer.setRenderTarget(to);
      renderer.render(smoothing, this.#camera);
    }
    renderer.setRenderTarget(null);
    renderer.autoClear = before.autoClear;
    renderer.setClearAlpha(before.color);
    for (const used of [white, square, add, smooth]) used.dispose();
  }

  dispose() {
    this.#sum.dispose();
    this.#layer.dispose();
    this.mesh.geometry.dispose();
    this.#shown.dispose();
  }
}
