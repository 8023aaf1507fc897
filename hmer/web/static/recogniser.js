// Reads ink in the browser as the Python package does: hmer/ink (scale, render), hmer/decoding (beam
// search from both ends, rescoring) and hmer/export/runtime.py (the two graphs), for one expression.

const f32 = Math.fround;
const TOLERANCE = 0.02, MAX_GAP = 0.5, PIECE = 4, PAPER = 32, INK_CELL = 8, INK_THRESHOLD = 0.1;
const FEWEST = 8, PER_UNIT = 1, MAX_PIXELS = 2e6, ROOM = 2 ** 14, DEAD = 64, LEAST_RIVAL = 1e-6, LEAST_LONE = 1e-3;

// --- ink in symbol units (hmer/ink/scale.py) ---

function extent(stroke) {
  const [xs, ys] = [0, 1].map((axis) => stroke.map((point) => point[axis]));
  const span = (values) => values.reduce((a, b) => Math.max(a, b)) - values.reduce((a, b) => Math.min(a, b));
  return [span(xs), span(ys)];
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

function symbolUnit(strokes) {
  const sizes = strokes.map(extent);
  const wide = sizes.map(([w, h]) => Math.hypot(w, h)).filter((size) => size > 0);
  if (!wide.length) return 1;
  const middle = median(wide);
  const upright = sizes.filter(([w, h]) => h > 0.4 * w && h > 0.3 * middle);
  if (!upright.length) return 0.75 * middle;
  const logs = upright.map(([w, h]) => Math.log(h ** 0.7 * Math.max(w, h / 2) ** 0.3));
  return Math.exp(logs.reduce((a, b) => a + b) / logs.length);
}

// Douglas and Peucker's algorithm: numbers of the points to keep.
function simplified(points) {
  const keep = new Set([0, points.length - 1]);
  const stretches = [[0, points.length - 1]];
  while (stretches.length) {
    const [first, last] = stretches.pop();
    const [x0, y0] = points[first];
    const dx = points[last][0] - x0, dy = points[last][1] - y0;
    const square = Math.max(dx * dx + dy * dy, 1e-12);
    let farthest = TOLERANCE, found = [];
    for (let i = first + 1; i < last; i++) {
      const ox = points[i][0] - x0, oy = points[i][1] - y0;
      const along = Math.min(Math.max((ox * dx + oy * dy) / square, 0), 1);
      const away = Math.hypot(ox - along * dx, oy - along * dy);
      if (away > farthest) [farthest, found] = [away, [i]];
      else if (away === farthest && found.length) found.push(i);
    }
    if (!found.length) continue;
    found.forEach((i) => keep.add(i));
    const ends = [first, ...found, last];
    for (let i = 1; i < ends.length; i++) stretches.push([ends[i - 1], ends[i]]);
  }
  return points.filter((_, i) => keep.has(i));
}

function spaced(points) {
  if (Math.hypot(...extent(points)) < TOLERANCE) {
    return [[0, 1].map((axis) => f32(points.reduce((sum, p) => sum + p[axis], 0) / points.length))];
  }
  const found = [];
  for (let i = 1; i < points.length; i++) {
    const [from, to] = [points[i - 1], points[i]];
    const count = Math.max(Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) / MAX_GAP), 1);
    for (let k = 0; k < count; k++) {
      found.push([0, 1].map((axis) => f32(((to[axis] - from[axis]) / count) * k + from[axis])));
    }
  }
  found.push(points.at(-1).map(f32));
  return found;
}

export function normalised(given) {
  const strokes = given.filter((s) => s.length).map((stroke) => stroke.map((point) => point.map(f32)));
  if (!strokes.length) throw new Error("there are no points");
  const least = (all) => [0, 1].map((axis) => all.flat().reduce((a, p) => Math.min(a, p[axis]), Infinity));
  const unit = symbolUnit(strokes), corner = least(strokes);
  const scaled = strokes.map((stroke) =>
    spaced(simplified(stroke.map(([x, y]) => [(x - corner[0]) / unit, (y - corner[1]) / unit]))));
  const left = least(scaled);
  return scaled.map((stroke) => stroke.map(([x, y]) => [f32(x - left[0]), f32(y - left[1])]));
}

// --- ink to a picture (hmer/ink/render.py), in single precision like there ---

export function drawn(strokes, { unit, pen, margin }) {
  const points = strokes.flat();
  const right = points.reduce((a, p) => Math.max(a, p[0]), 0);
  const bottom = points.reduce((a, p) => Math.max(a, p[1]), 0);
  const width = Math.max(1, Math.ceil((right + 2 * margin) * unit));
  const height = Math.max(1, Math.ceil((bottom + 2 * margin) * unit));
  if (width * height > MAX_PIXELS) throw new Error("the expression is too large; write less at once");
  const image = new Uint8Array(width * height);
  const radius = Math.min(pen * unit, 64) / 2, origin = f32(-margin), scale = f32(unit);
  const pixels = strokes.map((s) => s.map((p) => p.map((x) => f32(f32(x - origin) * scale))));
  for (const stroke of pixels) {
    for (let i = 0; i < Math.max(stroke.length - 1, 1); i++) {
      const start = stroke[i], end = stroke[Math.min(i + 1, stroke.length - 1)];
      const step = [f32(end[0] - start[0]), f32(end[1] - start[1])];
      const count = Math.max(Math.ceil(f32(Math.hypot(step[0], step[1])) / PIECE), 1);
      const part = step.map((x) => f32(x / count));
      for (let k = 0; k < count; k++) {
        const from = [0, 1].map((axis) => f32(start[axis] + f32(part[axis] * k)));
        paint(image, width, height, from, [0, 1].map((axis) => f32(from[axis] + part[axis])), radius);
      }
    }
  }
  return { image, width, height };
}

function paint(image, width, height, [x0, y0], [x1, y1], radius) {
  const reach = Math.ceil(PIECE / 2 + radius + 1);
  const middleX = Math.floor(f32(f32(x0 + x1) / 2)), middleY = Math.floor(f32(f32(y0 + y1) / 2));
  const cx = f32(x1 - x0), cy = f32(y1 - y0), edge = f32(radius + 0.5);
  const square = Math.max(f32(f32(cx * cx) + f32(cy * cy)), f32(1e-9));
  const offsetX = f32(f32(middleX + 0.5) - x0), offsetY = f32(f32(middleY + 0.5) - y0);
  for (let dy = -reach; dy <= reach; dy++) {
    const row = middleY + dy;
    if (row < 0 || row >= height) continue;
    for (let dx = -reach; dx <= reach; dx++) {
      const column = middleX + dx;
      if (column < 0 || column >= width) continue;
      let x = f32(dx + offsetX), y = f32(dy + offsetY);
      const along = Math.min(Math.max(f32(f32(f32(x * cx) + f32(y * cy)) / square), 0), 1);
      x = f32(x - f32(along * cx));
      y = f32(y - f32(along * cy));
      const cover = f32(edge - f32(Math.sqrt(f32(f32(x * x) + f32(y * y)))));
      const value = Math.floor(f32(f32(Math.min(Math.max(cover, 0), 1) * 255) + 0.5));
      const at = row * width + column;
      if (value > image[at]) image[at] = value;
    }
  }
}

// The picture with blank paper to its right and below: {canvas, height, width, limit}.
function onCanvas({ image, width, height }, stride, unit) {
  const [tall, wide] = [height, width].map((side) => Math.ceil((side + PAPER) / stride) * stride);
  const canvas = new Float32Array(tall * wide);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) canvas[y * wide + x] = image[y * width + x] / 255;
  }
  let inked = 0;
  for (let top = 0; top + INK_CELL <= tall; top += INK_CELL) {
    for (let left = 0; left + INK_CELL <= wide; left += INK_CELL) {
      let most = 0;
      for (let y = top; y < top + INK_CELL; y++) {
        for (let x = left; x < left + INK_CELL; x++) most = Math.max(most, canvas[y * wide + x]);
      }
      inked += most > INK_THRESHOLD;
    }
  }
  return { canvas, height: tall, width: wide, limit: FEWEST + Math.ceil((PER_UNIT * inked * INK_CELL) / unit) };
}

// Symbols with dots that stand apart: ink of one connected piece is none of them (hmer/recognizer.py).
const APART = new Set(["!", ":", ";",
  ...["cdots", "ldots", "vdots", "ddots", "therefore", "because", "div"].map((name) => "\\" + name)]);

// Whether all ink touches, at sides or corners.
function inOnePiece({ canvas, height, width }) {
  const left = new Set();
  canvas.forEach((value, at) => { if (value > INK_THRESHOLD) left.add(at); });
  const open = [...left].slice(0, 1);
  open.forEach((at) => left.delete(at));
  while (open.length) {
    const at = open.pop(); // a side of paper is blank: no row runs into the next
    for (const down of [-width, 0, width]) {
      for (const next of [at + down - 1, at + down, at + down + 1]) if (left.delete(next)) open.push(next);
    }
  }
  return !left.size;
}

// --- the two graphs (hmer/export/runtime.py) ---

class Step {
  constructor(ort, session, graphs, memory) {
    Object.assign(this, { ort, session, graphs, memory });
    this.cells = memory.bias.dims[3];
    this.caches = graphs.past.filter((shape) => shape.includes("places")).length;
  }

  // Of nothing; one place that nobody sees, because some runtimes dislike empty arrays.
  start() {
    const caches = this.graphs.past.slice(0, this.caches).map(([, heads, , part]) =>
      new this.ort.Tensor("float32", new Float32Array(heads * part), [1, heads, 1, part]));
    return { caches, places: 1, covered: null, seen: [], length: [] };
  }

  // Continue by tokens, each {token, parent, root}: the number of the new token that it follows or -1,
  // and that of the hypothesis in `past` that its line continues or -1.
  async grow(nodes, past) {
    const { ort, cells } = this, count = nodes.length, { places } = past, all = places + count;
    const above = new Float32Array(count * count), seen = [], depth = [];
    const mask = new Float32Array(count * all).fill(-Infinity);
    nodes.forEach(({ parent, root }, i) => {
      const own = new Uint8Array(all);
      if (parent >= 0) {
        own.set(seen[parent]);
        for (let j = 0; j < i; j++) above[i * count + j] = own[places + j];
      } else if (root >= 0) own.set(past.seen[root]);
      own[places + i] = 1;
      seen.push(own);
      depth.push(parent >= 0 ? depth[parent] + 1 : root >= 0 ? past.length[root] : 0);
      for (let j = 0; j < all; j++) if (own[j]) mask[i * all + j] = 0;
    });
    const tensor = (data, ...dims) => new ort.Tensor("float32", data, dims);
    const whole = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, count]);
    const feeds = {
      ...this.memory,
      tokens: whole(nodes.map((node) => node.token)),
      depth: whole(depth),
      seen: tensor(mask, 1, 1, count, all),
      above: tensor(above, 1, 1, count, count),
    };
    this.graphs.past.forEach((shape, i) => {
      if (i < this.caches) {
        feeds[`past_${i}`] = past.caches[i];
        return;
      }
      const heads = shape[1], data = new Float32Array(heads * count * cells);
      const before = past.covered?.[i - this.caches];
      nodes.forEach(({ root }, k) => {
        if (!before || root < 0) return;
        for (let h = 0; h < heads; h++) {
          const from = (h * past.length.length + root) * cells;
          data.set(before.subarray(from, from + cells), (h * count + k) * cells);
        }
      });
      feeds[`past_${i}`] = tensor(data, 1, heads, count, cells);
    });
    const found = await this.session.run(feeds);
    const grown = this.graphs.past.map((_, i) => found[`grown_${i}`]), classes = found.said.dims[2];
    return {
      said: nodes.map((_, i) => found.said.data.subarray(i * classes, (i + 1) * classes)),
      past: {
        caches: grown.slice(0, this.caches),
        places: all,
        covered: grown.slice(this.caches).map((one) => one.data),
        seen,
        length: depth.map((n) => n + 1),
      },
    };
  }

  // Without the places that none of these hypotheses sees, if they are many.
  tidy(past, living) {
    const kept = [];
    for (let j = 0; j < past.places; j++) if (living.some((k) => past.seen[k][j])) kept.push(j);
    if (past.places - kept.length < DEAD) return past;
    const caches = past.caches.map(({ data, dims: [, heads, , part] }) => {
      const found = new Float32Array(heads * kept.length * part);
      for (let h = 0; h < heads; h++) {
        kept.forEach((j, i) => {
          const from = (h * past.places + j) * part;
          found.set(data.subarray(from, from + part), (h * kept.length + i) * part);
        });
      }
      return new this.ort.Tensor("float32", found, [1, heads, kept.length, part]);
    });
    const seen = past.seen.map((own) => Uint8Array.from(kept, (j) => own[j]));
    return { ...past, caches, seen, places: kept.length };
  }
}

// --- the search (hmer/decoding/beam.py, rescore.py, bidirectional.py) ---

// Hypotheses {tokens, score} that have ended, in each of the directions {start, stop, banned}.
async function beamSearch(step, directions, beam, limit) {
  const found = directions.map(() => []);
  let living = directions.map(() => [{ tokens: [], score: 0, row: -1 }]);
  let past = step.start();
  for (let length = 0; length <= limit; length++) {
    const rows = living.flat();
    if (!rows.length) break;
    const nodes = living.flatMap((line, d) => line.map(({ tokens, row }) =>
      ({ token: tokens.at(-1) ?? directions[d].start, parent: -1, root: row })));
    const answer = await step.grow(nodes, past);
    let first = 0;
    living = living.map((line, d) => {
      if (!line.length) return line;
      const { stop, banned } = directions[d], candidates = [];
      line.forEach(({ tokens, score }, k) => {
        answer.said[first + k].forEach((x, token) => {
          if (!banned.has(token)) candidates.push({ tokens, token, score: score + x, row: first + k });
        });
      });
      candidates.sort((a, b) => b.score - a.score); // stable: by number where scores are equal
      const best = candidates.slice(0, 2 * beam);
      const going = best.filter((one) => one.token !== stop);
      best.slice(0, beam).filter((one) => one.token === stop)
        .forEach(({ tokens, score }) => found[d].push({ tokens, score }));
      const ended = found[d].map((one) => one.score).sort((a, b) => b - a).slice(0, beam);
      const done = !going.length || (ended.length >= beam && ended.at(-1) >= going[0].score);
      if (!done && length === limit) {
        const whole = new Set(found[d].map((one) => one.tokens.join()));
        line.forEach(({ tokens, score }, k) => {
          if (!whole.has(tokens.join())) found[d].push({ tokens, score: score + answer.said[first + k][stop] });
        });
      }
      first += line.length;
      return done || length === limit ? [] : going.slice(0, beam)
        .map(({ tokens, token, score, row }) => ({ tokens: [...tokens, token], score, row }));
    });
    past = step.tidy(answer.past, living.flat().map((one) => one.row));
  }
  return found.map((all) => all.sort((a, b) => b.score - a.score).slice(0, beam));
}

// The log-probability of each sequence, common beginnings computed once, many depths at once.
async function scored(step, sequences) {
  const totals = sequences.map(() => 0), levels = [];
  const parents = sequences.map(() => -1);
  for (let depth = 0; ; depth++) {
    const level = { nodes: [], asked: [] }, numbers = new Map();
    sequences.forEach((tokens, s) => {
      if (depth + 1 >= tokens.length) return;
      const key = `${tokens[depth]} ${parents[s]}`;
      if (!numbers.has(key)) {
        numbers.set(key, level.nodes.length);
        level.nodes.push({ token: tokens[depth], up: parents[s] });
      }
      parents[s] = numbers.get(key);
      level.asked.push([parents[s], tokens[depth + 1], s]);
    });
    if (!level.nodes.length) break;
    levels.push(level);
  }
  let past = step.start(), last = -1; // where the last level begins among the hypotheses of `past`
  const room = Math.max(1, Math.floor(ROOM / step.cells));
  for (let depth = 0; depth < levels.length;) {
    const nodes = [], asked = [];
    let before = -1;
    do {
      const begin = nodes.length, { nodes: own, asked: wanted } = levels[depth++];
      own.forEach(({ token, up }) => {
        nodes.push(before < 0
          ? { token, parent: -1, root: last < 0 ? -1 : last + up }
          : { token, parent: before + up, root: nodes[before + up].root });
      });
      wanted.forEach(([node, token, s]) => asked.push([begin + node, token, s]));
      before = begin;
    } while (depth < levels.length && nodes.length + levels[depth].nodes.length <= room);
    const answer = await step.grow(nodes, past);
    asked.forEach(([node, token, s]) => { totals[s] += answer.said[node][token]; });
    [past, last] = [answer.past, before];
  }
  return totals;
}

// --- single symbols (hmer/decoding/lone_symbol.py) ---

const ALPHABETS = ["mathbb", "mathcal", "mathfrak"].map((name) => "\\" + name);

function softmax(logits, banned) {
  const kept = Array.from(logits, (x, token) => (banned.has(token) ? -Infinity : x));
  const most = Math.max(...kept), powers = kept.map((x) => Math.exp(x - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((x) => x / sum);
}

// Whether tokens are a single symbol: one of them, or a letter of an alphabet.
function isSingle(tokens, { tokens: names, offset }) {
  return tokens.length === 1 || (tokens.length === 4 && ALPHABETS.includes(names[tokens[0] - offset]));
}

// Readings {tokens, probability} mixed with what a classifier says of single symbols, the best first.
function mixed(readings, logits, { words, banned }) {
  const { pad, sos, eos, tokens: names, offset } = words;
  const never = new Set([pad, sos, ...banned]), classes = logits.length / 2;
  const [token, letter] = [0, 1].map((i) => softmax(logits.slice(i * classes, (i + 1) * classes), never));
  const [open, close] = ["{", "}"].map((name) => names.indexOf(name) + offset);
  const ofAlphabet = (number) => ALPHABETS.includes(names[number - offset]);
  const isLone = (reading) => isSingle(reading.tokens, words);
  const symbols = new Map();
  token.forEach((chance, one) => {
    if (chance < LEAST_LONE || one === eos) return;
    if (!ofAlphabet(one)) symbols.set(`${one}`, { tokens: [one], chance });
    else letter.forEach((inside, which) => {
      const tokens = [one, open, which, close];
      if (chance * inside >= LEAST_LONE && which !== eos) symbols.set(tokens.join(), { tokens, chance: chance * inside });
    });
  });
  const alone = readings.filter(isLone).reduce((sum, one) => sum + one.probability, 0);
  const others = (1 + token[eos] / Math.max(1 - alone, token[eos], 1e-12)) / 2;
  const found = readings.map(({ tokens, probability }) => {
    if (!isLone({ tokens })) return { tokens, probability: probability * others };
    const known = symbols.get(tokens.join());
    symbols.delete(tokens.join());
    return { tokens, probability: (probability + (known?.chance ?? 0)) / 2 };
  });
  symbols.forEach(({ tokens, chance }) => found.push({ tokens, probability: chance / 2 }));
  return found.sort((a, b) => b.probability - a.probability);
}

export class Recogniser {
  // about: model.json beside the graphs; encoder, step: sessions of `ort` for them.
  constructor(ort, about, encoder, step) {
    Object.assign(this, { ort, about, encoder, step });
  }

  // Readings of strokes of [x, y]: {tokens, confidence}, the best first.
  async read(strokes, { beam = 10, maxLength = 200 } = {}) {
    const { about, ort } = this, { sos, eos, pad, tokens: names, offset } = about.words;
    const picture = onCanvas(drawn(normalised(strokes), about.render), about.stride, about.render.unit);
    const images = new ort.Tensor("float32", picture.canvas, [1, 1, picture.height, picture.width]);
    const { attention, cells, lone_symbol: lone, ...memory } = await this.encoder.run({ images });
    const step = new Step(ort, this.step, about, memory);
    const ways = [[sos, eos], [eos, sos]];
    const directions = ways.map(([start, stop]) =>
      ({ start, stop, banned: new Set([pad, start, ...about.banned]) }));
    const found = await beamSearch(step, directions, beam, Math.min(maxLength, picture.limit));
    const known = new Map();
    found.forEach((all, way) => all.forEach(({ tokens, score }) => {
      const written = way ? [...tokens].reverse() : tokens, key = written.join();
      if (!known.has(key)) known.set(key, { tokens: written, said: [null, null] });
      known.get(key).said[way] = score;
    }));
    const missing = [...known.values()].flatMap(({ tokens, said }) =>
      [0, 1].filter((way) => said[way] === null).map((way) => ({ tokens, said, way })));
    const scores = await scored(step, missing.map(({ tokens, way }) =>
      [ways[way][0], ...(way ? [...tokens].reverse() : tokens), ways[way][1]]));
    missing.forEach(({ said, way }, i) => { said[way] = scores[i]; });
    let readings = [...known.values()].map(({ tokens, said }) =>
      ({ tokens, probability: Math.min(1, Math.exp((said[0] + said[1]) / 2)) }));
    if (readings.some(({ tokens }) => tokens.length)) readings = readings.filter(({ tokens }) => tokens.length);
    readings.sort((a, b) => b.probability - a.probability);
    const rivals = readings.length > 1;
    if (lone) readings = mixed(readings, lone.data, about);
    const apart = ({ tokens }) => tokens.some((token) => APART.has(names[token - offset]));
    if (apart(readings[0]) && inOnePiece(picture)) {
      const fitting = readings.filter((one) => !apart(one));
      if (fitting.length) readings = fitting;
    }
    const best = readings[0];
    const sum = readings.reduce((all, one) => all + one.probability, 0);
    const total = rivals ? sum : 2 * sum;
    const calibrated = !lone || !isSingle(best.tokens, about.words); // it is fitted on expressions
    return readings.map(({ tokens, probability }) => ({
      tokens: tokens.map((token) => names[token - offset]),
      confidence: calibrated ? this.confidence(probability, best.tokens.length, probability / total) : probability,
    }));
  }

  // Calibrated (hmer/models/about.py); of `count` tokens, with that share of the n-best's probability.
  confidence(probability, count, share) {
    const { calibration } = this.about;
    if (!calibration || !(probability > 0 && probability < 1)) return probability;
    const half = calibration.scale * Math.max(count, 1) ** (calibration.length ?? 0);
    const rest = Math.max(1 - share, LEAST_RIVAL), rivals = (rest / (1 - rest)) ** (calibration.rivals ?? 0);
    return 1 / (1 + (-Math.log(probability) / half) ** calibration.slope * rivals);
  }
}

// LaTeX with blanks only where a command would run into a letter.
export function typed(tokens) {
  return tokens.map((token, i) =>
    (/^\\[a-z]+$/i.test(tokens[i - 1] ?? "") && /^[a-z]/i.test(token) ? " " : "") + token).join("");
}
