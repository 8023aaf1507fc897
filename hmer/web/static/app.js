// The page of `hmer demo`: strokes or a picture to the API of this server, its answer on the page.

// Milliseconds without a stroke until it is read: no longer than between two strokes of a symbol,
// because what is read too early is dropped (its request is aborted) and costs the machine alone.
const PAUSE = 120;
const NEAR = 12; // pixels from a stroke that touch it
const MARGIN = 20; // pixels around the ink in a copied picture

// A worker that reads on this machine.
class Here {
  constructor() {
    this.worker = new Worker("static/worker.js", { type: "module" });
    this.number = 0;
    this.worker.addEventListener("message", ({ data }) => {
      if ("ready" in data && !strokes.length) {
        at("status").textContent = data.ready
          ? "Ready: all is read on this machine. Pictures are not; the program hmer reads them." : data.error;
      }
    });
    this.worker.addEventListener("error", (event) => { at("status").textContent = event.message; });
    at("hint").textContent = "Write here.";
    at("status").textContent = "The recogniser is being loaded …";
  }

  // The newest paper only: who asked before is never answered.
  read(strokes) {
    const number = ++this.number;
    this.worker.postMessage({ number, strokes, beam: 10 });
    return new Promise((done, failed) => {
      this.worker.addEventListener("message", function listen({ data }) {
        if (data.number === undefined || data.number < number) return;
        this.removeEventListener("message", listen);
        if (data.number === number) data.found ? done(data.found) : failed(new Error(data.error));
      });
    });
  }
}

const at = (id) => document.getElementById(id);
const canvas = at("paper");
const context = canvas.getContext("2d");
// Without a server (hmer demo --static) the recogniser runs here, and reads no pictures.
const here = document.documentElement.dataset.reads === "here" ? new Here() : null;
const HINT = at("hint").textContent;

let strokes = []; // of [x, y], CSS pixels of the canvas
let picture = null; // {body, bitmap or null} in place of strokes
let past = [], future = []; // earlier and undone states of the paper
let reading = null; // the API's answer
let lit = new Set(); // numbers of symbols that are shown
let current = null; // {pointer, stroke} that is being written; no stroke: erasing
let timer = 0, request = null;

// --- the paper ---

function draw() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name);
  const ratio = window.devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = color("--paper");
  context.fillRect(0, 0, width, height);
  const symbols = reading?.symbols ?? [];
  if (picture?.bitmap) {
    const fit = pictureFit();
    context.drawImage(picture.bitmap, fit.left, fit.top, fit.scale * picture.bitmap.width,
      fit.scale * picture.bitmap.height);
    context.strokeStyle = color("--lit");
    context.lineWidth = 2;
    for (const number of lit) {
      const [left, top, right, bottom] = symbols[number].box;
      context.strokeRect(fit.left + fit.scale * left, fit.top + fit.scale * top,
        fit.scale * (right - left), fit.scale * (bottom - top));
    }
  }
  const shown = new Set([...lit].flatMap((number) => symbols[number]?.strokes ?? []));
  const written = current?.stroke ? [...strokes, current.stroke] : strokes;
  written.forEach((stroke, number) => {
    drawStroke(context, stroke, color(shown.has(number) ? "--lit" : "--ink"));
  });
  at("hint").textContent = picture && !picture.bitmap ? picture.body.name : HINT;
  at("hint").hidden = Boolean(picture?.bitmap || written.length);
  at("undo").disabled = !past.length;
  at("redo").disabled = !future.length;
  at("copy-picture").disabled = !picture?.bitmap && !strokes.length;
  at("keep").disabled = !strokes.length || !reading;
}

function drawStroke(context, stroke, color) {
  context.lineWidth = 3;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = color;
  context.beginPath();
  context.moveTo(...stroke[0]);
  for (const point of stroke) context.lineTo(...point);
  context.stroke();
}

function pictureFit() {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = Math.min(width / picture.bitmap.width, height / picture.bitmap.height, 1);
  return {
    scale,
    left: (width - scale * picture.bitmap.width) / 2,
    top: (height - scale * picture.bitmap.height) / 2,
  };
}

function change(next, image = null) {
  if (!next.length && !image && !strokes.length && !picture) return;
  past.push({ strokes, picture });
  future = [];
  show({ strokes: next, picture: image });
}

function show(state) {
  ({ strokes, picture } = state);
  clearTimeout(timer);
  request?.abort();
  stale(Boolean(picture || strokes.length));
  if (picture || strokes.length) timer = setTimeout(read, picture ? 0 : PAUSE);
  draw();
}

function step(from, to) {
  if (!from.length) return;
  to.push({ strokes, picture });
  show(from.pop());
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function touched([x, y]) {
  let best = -1, least = NEAR;
  strokes.forEach((stroke, number) => {
    stroke.forEach(([x1, y1], place) => {
      const [x0, y0] = stroke[Math.max(place - 1, 0)];
      const length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
      const along = length ? ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length : 0;
      const part = Math.min(Math.max(along, 0), 1);
      const away = Math.hypot(x0 + part * (x1 - x0) - x, y0 + part * (y1 - y0) - y);
      if (away < least) [best, least] = [number, away];
    });
  });
  return best;
}

function erase(numbers) {
  if (numbers.some((number) => number >= 0)) {
    change(strokes.filter((_, number) => !numbers.includes(number)));
  }
}

const erasing = () => at("erase").getAttribute("aria-pressed") === "true";

canvas.addEventListener("pointerdown", (event) => {
  const eraser = event.button === 5; // the other end of a pen
  // A second finger or the hand that rests beside a pen writes nothing.
  if ((current && event.pointerType !== "pen") || (event.button && !eraser)) return;
  canvas.setPointerCapture(event.pointerId);
  if (eraser || erasing()) {
    current = { pointer: event.pointerId };
    erase([touched(place(event))]);
    return;
  }
  if (picture) change([]);
  clearTimeout(timer);
  current = { pointer: event.pointerId, stroke: [place(event)] };
  draw();
});

canvas.addEventListener("pointermove", (event) => {
  if (current) {
    if (event.pointerId !== current.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) {
      if (current.stroke) current.stroke.push(place(one));
      else erase([touched(place(one))]);
    }
    draw();
  } else if (event.pointerType === "mouse" && reading?.symbols) {
    const number = touched(place(event));
    light(reading.symbols.findIndex((symbol) => number >= 0 && symbol.strokes?.includes(number)));
  }
});

function finish(event) {
  if (event.pointerId !== current?.pointer) return;
  const { stroke } = current;
  current = null;
  if (stroke) change([...strokes, stroke]);
}
canvas.addEventListener("pointerup", finish);
canvas.addEventListener("pointercancel", finish);
new ResizeObserver(draw).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

at("undo").addEventListener("click", () => step(past, future));
at("redo").addEventListener("click", () => step(future, past));
at("clear").addEventListener("click", () => change([]));
at("erase").addEventListener("click", () => at("erase").setAttribute("aria-pressed", !erasing()));
document.addEventListener("keydown", (event) => {
  if (event.target === at("latex")) return;
  const key = event.key.toLowerCase();
  const command = event.ctrlKey || event.metaKey;
  if (command && key === "z" && !event.shiftKey) step(past, future);
  else if (command && (key === "y" || key === "z")) step(future, past);
  else if (key === "escape") change([]);
  else return;
  event.preventDefault();
});

// --- pictures ---

async function take(file) {
  if (!file || here) return;
  // What the browser cannot show (InkML, PDF, HEIC) is read all the same.
  const bitmap = await createImageBitmap(file).catch(() => null);
  change([], { bitmap, body: file });
}
at("file").addEventListener("change", (event) => {
  take(event.target.files[0]);
  event.target.value = "";
});
document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer.files[0]);
});

// --- the reading ---

async function ask(path, asked, signal = null) {
  const [body, type] = asked instanceof Blob
    ? [asked, "application/octet-stream"] : [JSON.stringify(asked), "application/json"];
  const answer = await fetch(path, {
    method: "POST", body, headers: { "Content-Type": type }, signal,
  });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Error(typeof found.detail === "string" ? found.detail : `error ${answer.status}`);
  }
  return found;
}

async function read() {
  at("status").textContent = "Reading …";
  request = new AbortController();
  const { signal } = request;
  try {
    const found = here ? await here.read(strokes) : picture
      ? await ask("v1/recognize?n_best=5&symbols=true", picture.body, signal)
      : await ask("v1/recognize", { strokes, n_best: 5, symbols: true }, signal);
    if (signal.aborted) return;
    reading = found;
  } catch (error) {
    if (signal.aborted) return;
    stale(false);
    at("status").textContent = error instanceof TypeError
      ? "The server does not answer; is hmer demo still running?" : error.message;
    return;
  }
  at("reading").setAttribute("aria-busy", "false");
  at("status").textContent = reading.latex
    ? `${reading.compact}: right with a chance of ${Math.round(100 * reading.confidence)}\u00a0%${
      reading.warning ? `, but ${reading.warning}` : ""}.`
    : "There is nothing to read.";
  choose(reading.compact);
  list();
  draw();
}

// The reading of an earlier paper: shown, but pale, while another is awaited.
function stale(awaited) {
  reading = null;
  lit.clear();
  at("reading").setAttribute("aria-busy", awaited);
  at("tokens").replaceChildren();
  at("others").hidden = true;
  at("status").textContent = "";
  if (!awaited) choose("");
}

function choose(latex) {
  at("latex").value = latex;
  at("tokens").hidden = latex !== reading?.compact; // of other readings the strokes are not known
  light(-1);
  typeset();
}

function typeset() {
  katex.render(at("latex").value, at("typeset"), { displayMode: true, throwOnError: false });
}
at("latex").addEventListener("input", typeset);

function list() {
  at("tokens").replaceChildren(...(reading.symbols ?? []).map((symbol, number) => {
    const button = document.createElement("button");
    button.textContent = symbol.token;
    if (symbol.strokes.length) button.title = "Delete: erase its strokes";
    button.addEventListener("keydown", (event) => {
      if (event.key === "Delete" || event.key === "Backspace") erase(symbol.strokes);
    });
    for (const name of ["pointerenter", "focus"]) button.addEventListener(name, () => light(number));
    for (const name of ["pointerleave", "blur"]) button.addEventListener(name, () => light(-1));
    return button;
  }));
  const others = reading.n_best.filter((one) => one.compact !== reading.compact);
  at("others").hidden = !others.length;
  at("others").replaceChildren(at("others").firstElementChild, ...[reading, ...others].map((one, number) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "reading", checked: !number });
    input.addEventListener("change", () => choose(one.compact));
    label.append(input, ` ${one.compact}`);
    return label;
  }));
}

function light(number) {
  lit = new Set(number < 0 ? [] : [number]);
  [...at("tokens").children].forEach((button, other) => {
    button.classList.toggle("lit", other === number);
  });
  draw();
}

// --- what is done with it ---

async function copied(what, written) {
  try {
    if (!navigator.clipboard) throw new Error("browsers allow it only to pages of this machine");
    await written();
    at("status").textContent = `${what} copied.`;
  } catch (error) {
    at("status").textContent = `${what} not copied: ${error.message}`;
  }
}

at("copy-latex").addEventListener("click", () =>
  copied("LaTeX", () => navigator.clipboard.writeText(at("latex").value)));
at("copy-mathml").addEventListener("click", () => {
  const math = at("typeset").querySelector("math");
  copied("MathML", () => navigator.clipboard.writeText(math ? math.outerHTML : reading?.mathml ?? ""));
});
at("copy-picture").addEventListener("click", () => copied("Picture", () =>
  navigator.clipboard.write([new ClipboardItem({ "image/png": inkPicture() })])));

// Dark ink on white, whatever the colours of the page, cut to the ink; or the picture itself.
function inkPicture() {
  const paper = document.createElement("canvas");
  const pen = paper.getContext("2d");
  if (picture) {
    [paper.width, paper.height] = [picture.bitmap.width, picture.bitmap.height];
    pen.drawImage(picture.bitmap, 0, 0);
  } else {
    const [xs, ys] = [0, 1].map((axis) => strokes.flat().map((point) => point[axis]));
    const least = (values) => values.reduce((a, b) => Math.min(a, b)) - MARGIN;
    const most = (values) => values.reduce((a, b) => Math.max(a, b)) + MARGIN;
    [paper.width, paper.height] = [2 * (most(xs) - least(xs)), 2 * (most(ys) - least(ys))];
    pen.fillStyle = "white";
    pen.fillRect(0, 0, paper.width, paper.height);
    pen.setTransform(2, 0, 0, 2, -2 * least(xs), -2 * least(ys));
    for (const stroke of strokes) drawStroke(pen, stroke, "black");
  }
  return new Promise((done) => paper.toBlob(done));
}
at("keep").addEventListener("click", async () => {
  try {
    const kept = await ask("v1/keep", { strokes, latex: at("latex").value });
    at("status").textContent = `Kept as ${kept.file}.`;
  } catch (error) {
    at("status").textContent = error.message;
  }
});

if (here) {
  at("file").parentElement.hidden = true;
} else {
  fetch("v1/page").then((answer) => answer.json()).then((page) => { at("keep").hidden = !page.keeps; });
}
draw();
