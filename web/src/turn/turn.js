/** A finished model, to be turned by hand. */

import { ACESFilmicToneMapping, Box3, Mesh, PMREMGenerator, PerspectiveCamera, Scene, Vector3, WebGLRenderer } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { RoomEnvironment } from "three/addons/environments/RoomEnvironment.js";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { h } from "../ui/dom.js";

/**
 * @param {{ job: import("../cloud/rest.js").Job, artifacts: import("../cloud/artifacts.js").Artifacts, manifest: any }} given
 * @returns {{ element: HTMLElement, ready: Promise<void>, dispose(): void }}
 */
export function createTurn({ job, artifacts }) {
  const canvas = h("canvas", { tabindex: 0, "aria-label": `${job.source.filename}, a model to turn` });
  const element = h("section", { class: "turn", "aria-label": "The model" }, canvas);
  const renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true });
  const scene = new Scene();
  const camera = new PerspectiveCamera(35, 1, 0.01, 100);
  const controls = new OrbitControls(camera, canvas);
  const stopping = new AbortController();
  canvas.style.width = "100%";
  canvas.style.height = "60vh";
  renderer.toneMapping = ACESFilmicToneMapping;
  const generator = new PMREMGenerator(renderer);
  scene.environment = generator.fromScene(new RoomEnvironment(), 0.04).texture;

  let frames = 0;
  function draw() {
    const { clientWidth, clientHeight } = canvas;
    renderer.setSize(clientWidth, clientHeight, false);
    camera.aspect = clientWidth / Math.max(1, clientHeight);
    camera.updateProjectionMatrix();
    renderer.render(scene, camera);
    canvas.dataset.framesDrawn = String((frames += 1));
  }
  controls.addEventListener("change", draw);

  async function load() {
    const blob = await artifacts.fetch("mesh.glb", { signal: stopping.signal });
    const { scene: model } = await new GLTFLoader().parseAsync(await blob.arrayBuffer(), "");
    const box = new Box3().setFromObject(model);
    const size = box.getSize(new Vector3()).length();
    model.position.sub(box.getCenter(new Vector3()));
    camera.position.set(0, size * 0.3, size * 1.4);
    scene.add(model);
    controls.update();
    draw();
    let vertices = 0;
    model.traverse((thing) => {
      if (thing instanceof Mesh) vertices += thing.geometry.attributes.position?.count ?? 0;
    });
    canvas.dataset.vertices = String(vertices);
    canvas.dataset.ready = "true";
  }

  return {
    element,
    ready: load(),
    dispose() {
      stopping.abort();
      controls.dispose();
      generator.dispose();
      renderer.dispose();
      renderer.forceContextLoss();
    },
  };
}
