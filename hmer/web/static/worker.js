// Reads for the page without a server: strokes in, readings out.

import * as ort from "./onnxruntime/ort.wasm.min.mjs";
import { Recogniser, typed } from "./recogniser.js";

ort.env.wasm.wasmPaths = new URL("./onnxruntime/", import.meta.url).href;
ort.env.wasm.numThreads = 1; // more need headers that a plain web space does not send

async function load() {
  const at = (name) => new URL(`./model/${name}`, import.meta.url);
  const fetched = async (name) => {
    const answer = await fetch(at(name));
    if (!answer.ok) throw new Error(`${name} cannot be loaded (${answer.status})`);
    return answer;
  };
  const session = async (name) =>
    ort.InferenceSession.create(new Uint8Array(await (await fetched(name)).arrayBuffer()));
  const about = await (await fetched("model.json")).json();
  return new Recogniser(ort, about, await session("encoder.onnx"), await session("step.onnx"));
}

const ready = load();
ready.then(() => postMessage({ ready: true }), (error) => postMessage({ ready: false, error: error.message }));
let turn = Promise.resolve(), newest = 0;

onmessage = ({ data: { number, strokes, beam } }) => {
  newest = number;
  turn = turn.then(async () => {
    if (number !== newest) return; // the paper has changed meanwhile
    try {
      const [best, ...others] = await (await ready).read(strokes, { beam });
      const shown = ({ tokens, confidence }) =>
        ({ latex: tokens.join(" "), compact: typed(tokens), confidence });
      postMessage({ number, found: { ...shown(best), n_best: [best, ...others].slice(0, 10).map(shown) } });
    } catch (error) {
      postMessage({ number, error: error.message });
    }
  });
};
