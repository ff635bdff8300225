/** What each code of an error means to the one whose photo it was, and what may help. */

/** @typedef {{ title: string, advice: string }} Meaning */

const PHOTO = "Try another photo: one object, all of it in the picture, before a calm background.";
const AGAIN = "This may well succeed the next time.";

/** @type {Readonly<Record<string, Meaning>>} */
const MEANINGS = {
  no_clear_object: { title: "No single object stands out", advice: `${PHOTO} Or cut it out yourself and send it with a transparent background.` },
  unsupported_image: { title: "This is not a picture we can read", advice: "JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP and GIF are taken." },
  corrupt_image: { title: "The picture is damaged", advice: "Open it and save it again, or take it from where it came." },
  empty_file: { title: "The file is empty", advice: "It may not have been written to its end. Choose it again." },
  image_too_large: { title: "The picture is too large", advice: "Save it smaller, or as JPEG." },
  image_too_small: { title: "The picture is too small", advice: "Take it at a higher resolution, or crop less of it away." },
  invalid_option: { title: "An option does not fit", advice: "Change it under Options and send the photo again." },
  empty_surface: { title: "No form was found", advice: PHOTO },
  unwrap_failed: { title: "The surface could not be unfolded", advice: "Ask for fewer faces under Options." },
  encoding_failed: { title: "A file could not be written", advice: AGAIN },
  out_of_memory: { title: "Memory ran out", advice: "Ask for less fineness or a smaller texture under Options." },
  weights_missing: { title: "TripoSR is not installed here", advice: "Choose “Best at hand” or the embedded engine under Options." },
  weights_corrupt: { title: "TripoSR's files are damaged", advice: "Whoever runs this place must fetch them again; meanwhile choose the embedded engine." },
  deadline_exceeded: { title: "It took too long", advice: AGAIN },
  worker_lost: { title: "The workshop broke down over it", advice: "It was tried several times. Another photo, or less fineness, may do better." },
  internal_error: { title: "Something of ours broke", advice: AGAIN },
  offline: { title: "The cloud cannot be reached", advice: "Look at your connection, then try again." },
  unreadable_file: { title: "The file cannot be read", advice: "It may have been moved or changed meanwhile. Choose it again." },
  upload_refused: { title: "The photo was not taken in", advice: AGAIN },
  upload_interrupted: { title: "The photo did not get through", advice: AGAIN },
  download_corrupt: { title: "A file was damaged on its way", advice: AGAIN },
  too_many_jobs: { title: "Enough for now", advice: "Wait until one of your models is finished, or cancel one." },
  too_many_requests: { title: "Too much at once", advice: "Wait a moment, then try again." },
  bad_answer: { title: "The cloud gave an answer that makes no sense", advice: "Try again in a while." },
  access_key_required: { title: "This studio is not open to everyone", advice: "Reload the page to give your access key. Whoever runs this place has it." },
  upload_expired: { title: "The photo came too late", advice: "An upload must begin within five minutes. Try again." },
  not_found: { title: "There is nothing here", advice: "It may have been deleted, have reached its end, or belong to somebody else." },
  unauthorized: { title: "This link has ended", advice: "Ask for a new one." },
};

/**
 * @param {string} code
 * @returns {Meaning}
 */
export function meaning(code) {
  return MEANINGS[code] ?? { title: "That did not work", advice: AGAIN };
}
