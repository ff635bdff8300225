/** A finished model, to be turned by hand: in three dimensions, as pictures from all sides, as a video. */

import { h } from "../ui/dom.js";
import { createArLink } from "./ar.js";
import { createFacts } from "./facts.js";
import { createFrames } from "./frames.js";
import { createStage } from "./stage.js";
import { createTabs } from "./tabs.js";
import { createVideo } from "./video.js";
import "./turn.css";
import "./stage.css";
import "./bench.css";

/**
 * @param {object} given
 * @param {Pick<import("../cloud/rest.js").Job, "source">} given.job
 * @param {import("../cloud/artifacts.js").Artifacts} given.artifacts
 * @param {any} given.manifest docs/manifest.md; null where there is none
 * @returns {{ element: HTMLElement, ready: Promise<void>, dispose(): void }} `ready`: the model has been drawn. It never
 *   rejects: what went wrong is told in the element, with a way to try again
 */
export function createTurn({ job, artifacts, manifest }) {
  const { filename } = job.source;
  const facts = createFacts(manifest, artifacts.files);
  const stage = createStage({ filename, artifacts, onFacts: facts.show, onFrames: () => tabs.show("frames") });
  const frames = createFrames(artifacts);
  const video = createVideo(artifacts, filename);
  const panels = { model: h("div", null, stage.element), frames: h("div", null, frames.element), video: h("div", null, video.element) };
  const entries = [{ name: "model", title: "Model", panel: panels.model }];
  const more = [
    { name: "frames", title: "Frames", panel: panels.frames, onShow: frames.show, there: artifacts.has("render_000.png") },
    { name: "video", title: "Video", panel: panels.video, onShow: video.show, onHide: video.hide, there: artifacts.has("render.mp4") },
  ];
  const tabs = createTabs("Ways to see it", [...entries, ...more.filter(({ there }) => there)]);
  const head = h("div", { class: "turn-head" }, tabs.element);
  const shown = [panels.model, ...more.filter(({ there }) => there).map(({ panel }) => panel)];
  const element = h("section", { class: "turn", "aria-label": "The model" }, head, ...shown, facts.element);
  void createArLink(artifacts).then(
    (link) => link && head.append(link),
    () => undefined, // the model can be turned without it
  );
  return { element, ready: stage.ready, dispose: stage.dispose };
}
