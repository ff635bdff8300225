/** The room a model stands in: wall, plinth, shadows, light. */

import { DirectionalLight, Scene } from "three";
import { RoomEnvironment } from "three/addons/environments/RoomEnvironment.js";
import { Backdrop } from "./backdrop.js";
import { irradianceOf } from "./irradiance.js";
import { Plinth } from "./plinth.js";
import { lamp, sky } from "./sky.js";
import { SoftShadow } from "./soft_shadow.js";
import { textureBytes } from "./stats.js";

/** how much of the light comes from everywhere, how much from the lamp */
const SKY_SHARE = 0.62;
/** directions looked into: as few as the blur can hide, for every one of them draws the whole model */
const SKY_RAYS = 24;
const LAMP_RAYS = 12;
/** the lamp's diffuser, seen from the model */
const DIFFUSER = 0.32;
/** where the lamp hangs while the light is not turned: left of the camera, above it */
const LAMP_AZIMUTH = -0.65;
const LAMP_RISE = 0.95;
/** of the height: set into the plinth so far, a surface that is not flat below still stands */
const SUNK = 0.01;
const ENVIRONMENT = 0.4;
const LAMP = 0.72;

export class Studio {
  scene = new Scene();
  #renderer;
  #backdrop = new Backdrop();
  #lamp = new DirectionalLight(0xffffff, LAMP);
  #plinth;
  #onPlinth;
  #onFloor;
  #model;
  #environment;

  /**
   * @param {import("three").WebGLRenderer} renderer
   * @param {import("./model.js").Model} model stands on y = 0 afterwards
   */
  constructor(renderer, model) {
    this.#renderer = renderer;
    this.#model = model;
    const { plinth, foot, size } = model.stand;
    model.group.position.set(-foot.x, -foot.y - SUNK * size.y, -foot.z);
    model.group.updateMatrixWorld(true);
    this.#plinth = new Plinth(plinth);
    this.#plinth.mesh.updateMatrixWorld(true);
    this.#onPlinth = new SoftShadow({ side: 2 * plinth.radius, y: 0, rim: 0.93, blur: 1.5 });
    this.#onFloor = new SoftShadow({ side: 7 * Math.max(plinth.radius, model.stand.radius), y: -plinth.height, rim: 0.55, blur: 1.9 });
    this.#onFloor.mesh.renderOrder = 1;
    this.#onPlinth.mesh.renderOrder = 2;
    this.scene.add(this.#backdrop.mesh, this.#onFloor.mesh, this.#plinth.mesh, this.#onPlinth.mesh, model.group, this.#lamp);
    const room = new RoomEnvironment();
    this.#environment = irradianceOf(this.#renderer, room);
    room.dispose();
    this.scene.environment = this.#environment.texture;
    this.scene.environmentIntensity = ENVIRONMENT;
    this.turnLight(0);
  }

  /** @param {number} angle radians from where the light comes at first */
  turnLight(angle) {
    this.scene.environmentRotation.y = angle;
    const azimuth = LAMP_AZIMUTH + angle;
    const towards = { x: Math.sin(azimuth) * Math.cos(LAMP_RISE), y: Math.sin(LAMP_RISE), z: Math.cos(azimuth) * Math.cos(LAMP_RISE) };
    this.#lamp.position.set(towards.x, towards.y, towards.z).multiplyScalar(10);
    const rays = [...sky(SKY_RAYS, SKY_SHARE), ...lamp(towards, DIFFUSER, LAMP_RAYS, 1 - SKY_SHARE)];
    this.#onPlinth.bake(this.#renderer, this.#model.meshes, rays);
    this.#onFloor.bake(this.#renderer, [...this.#model.meshes, this.#plinth.mesh], rays);
  }

  /** @param {import("./palette.js").Palette} palette */
  paint(palette) {
    this.#backdrop.paint(palette);
    this.#plinth.paint(palette);
    this.#onPlinth.strength = palette.dark ? 0.62 : 0.5;
    this.#onFloor.strength = palette.dark ? 0.7 : 0.42;
  }

  /**
   * What stands between a camera from below and the model steps out of the way.
   *
   * @param {[x: number, y: number, z: number]} camera
   */
  seenFrom([x, y, z]) {
    const angle = Math.atan2(y, Math.hypot(x, z));
    this.#plinth.fade(Math.min(1, Math.max(0, 1 + (angle + 0.03) / 0.16)));
    this.#onPlinth.mesh.visible = y > 0;
  }

  /** bytes on the graphics card, without the model */
  get bytes() {
    const { width, height } = this.#environment;
    return 6 * textureBytes(width, height, { bytesPerPixel: 8 }) + this.#onPlinth.bytes + this.#onFloor.bytes;
  }

  dispose() {
    this.#environment.dispose();
    for (const part of [this.#backdrop, this.#plinth, this.#onPlinth, this.#onFloor, this.#lamp]) part.dispose();
  }
}
