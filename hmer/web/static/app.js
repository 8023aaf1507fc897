// The page of `hmer demo`: strokes or a picture to the API of this server, its answer on the page.

const PAUSE = 300; // milliseconds without a stroke until it is read
const NEAR = 12; // pixels from a stroke that touch it

const at = (id) => document.getElementById(id);
const canvas = at("paper");
const context = canvas.getContext("2d");

let strokes = []; // of [x, y], CSS pixels of the canvas
let picture = null; // {bitmap, body, type} in place of strokes
let past = [], future = []; // earlier and undone states of the paper
let reading = null; // the API's answer
let lit = new Set(); // numbers of symbols that are shown
let current = null; // the stroke that is being written
let timer = 0, request = null;

// --- the paper ---

function draw() {
  const style = getComputedStyle(document.documentElement);
  const ratio = window.devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = style.getPropertyValue("--paper");
  context.fillRect(0, 0, width, height);
  const symbols = reading?.symbols ?? [];
  if (picture) {
    const fit = pictureFit();
    context.drawImage(picture.bitmap, fit.left, fit.top, fit.scale * picture.bitmap.width,
      fit.scale * picture.bitmap.height);
    context.strokeStyle = style.getPropertyValue("--lit");
    context.lineWidth = 2;
    for (const number of lit) {
      const [left, top, right, bottom] = symbols[number].box;
      context.strokeRect(fit.left + fit.scale * left, fit.top + fit.scale * top,
        fit.scale * (right - left), fit.scale * (bottom - top));
    }
  }
  const shown = new Set([...lit].flatMap((number) => symbols[number]?.strokes ?? []));
  context.lineWidth = 3;
  context.lineCap = context.lineJoin = "round";
  [...strokes, ...(current ? [current] : [])].forEach((stroke, number) => {
    context.strokeStyle = style.getPropertyValue(shown.has(number) ? "--lit" : "--ink");
    context.beginPath();
    context.moveTo(...stroke[0]);
    for (const point of stroke) context.lineTo(...point);
    context.stroke();
  });
  at("hint").hidden = Boolean(picture || strokes.length || current);
  at("undo").disabled = !past.length;
  at("redo").disabled = !future.length;
  at("copy-picture").disabled = !picture && !strokes.length;
  at("keep").disabled = !strokes.length;
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
  past.push({ strokes, picture });
  future = [];
  show({ strokes: next, picture: image });
}

function show(state) {
  ({ strokes, picture } = state);
  forget();
  clearTimeout(timer);
  request?.abort();
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
    for (const [px, py] of stroke) {
      const away = Math.hypot(px - x, py - y);
      if (away < least) [best, least] = [number, away];
    }
  });
  return best;
}

const erasing = () => at("erase").getAttribute("aria-pressed") === "true";

canvas.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  canvas.setPointerCapture(event.pointerId);
  if (erasing()) {
    const number = touched(place(event));
    if (number >= 0) change(strokes.filter((_, other) => other !== number));
    return;
  }
  if (picture) change([]);
  clearTimeout(timer);
  current = [place(event)];
  draw();
});

canvas.addEventListener("pointermove", (event) => {
  if (current) {
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) current.push(place(one));
    draw();
  } else if (event.pointerType === "mouse" && reading?.symbols) {
    const number = touched(place(event));
    light(reading.symbols.findIndex((symbol) => number >= 0 && symbol.strokes?.includes(number)));
  }
});

function finish() {
  if (!current) return;
  const stroke = current;
  current = null;
  change([...strokes, stroke]);
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
  if (!file) return;
  try {
    const bitmap = await createImageBitmap(file);
    change([], { bitmap, body: file, type: file.type || "image/png" });
  } catch {
    // No picture that the browser can show (InkML, PDF, HEIC): read all the same.
    const bitmap = await createImageBitmap(new ImageData(1, 1));
    change([], { bitmap, body: file, type: "application/octet-stream" });
  }
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

async function ask(path, body, type = "application/json") {
  request?.abort();
  request = new AbortController();
  const answer = await fetch(path, {
    method: "POST", body, headers: { "Content-Type": type }, signal: request.signal,
  });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Error(typeof found.detail === "string" ? found.detail : `error ${answer.status}`);
  }
  return found;
}

async function read() {
  at("status").textContent = "Reading …";
  try {
    reading = picture
      ? await ask("v1/recognize?n_best=5&symbols=true", picture.body, picture.type)
      : await ask("v1/recognize", JSON.stringify({ strokes, n_best: 5, symbols: true }));
  } catch (error) {
    if (error.name !== "AbortError") at("status").textContent = error.message;
    return;
  }
  at("status").textContent = reading.latex
    ? `Right with a chance of ${Math.round(100 * reading.confidence)} %.` : "There is nothing to read.";
  choose(reading.compact);
  list();
  draw();
}

function forget() {
  reading = null;
  lit.clear();
  for (const id of ["typeset", "tokens", "status"]) at(id).replaceChildren();
  at("latex").value = "";
  at("others").hidden = true;
}

function choose(latex) {
  at("latex").value = latex;
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
at("copy-picture").addEventListener("click", () => copied("Picture", async () => {
  light(-1);
  const blob = await new Promise((done) => canvas.toBlob(done));
  await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
}));
at("keep").addEventListener("click", async () => {
  try {
    const kept = await ask("v1/keep", JSON.stringify({ strokes, latex: at("latex").value }));
    at("status").textContent = `Kept as ${kept.file}.`;
  } catch (error) {
    at("status").textContent = error.message;
  }
});

fetch("v1/page").then((answer) => answer.json()).then((page) => { at("keep").hidden = !page.keeps; });
draw();
