"use strict";

const SVG = "http://www.w3.org/2000/svg";
const find = (id) => document.getElementById(id);
const data = (id) => (find(id) ? JSON.parse(find(id).textContent) : null);

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function say(value) {
  if (value === null || value === undefined) return "not finite";
  const size = Math.abs(value);
  return size && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : String(+value.toPrecision(4));
}

/* The chains: a sprite a grid, a row a state, a column a chain. */
function player(grids) {
  const canvas = find("stage"), slider = find("slider"), play = find("play");
  const frames = grids.flatMap((grid, g) => grid.captions.map((caption, s) => ({ g, s, caption })));
  const first = (g) => frames.findIndex((frame) => frame.g === g);
  const finest = Math.max(...grids.map((grid) => grid.size));
  let timer = null;
  slider.max = frames.length - 1;

  const jumps = grids.map((grid, g) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${grid.size} × ${grid.size}`;
    button.addEventListener("click", () => { stop(); show(first(g) + grid.captions.length - 1); });
    find("jumps").append(button);
    return button;
  });

  function show(index) {
    slider.value = Math.max(0, Math.min(frames.length - 1, index));
    const { g, s, caption } = frames[slider.value];
    const { size, chains, image } = grids[g];
    const columns = Math.ceil(Math.sqrt(chains)), gap = 8;
    const side = finest * Math.max(1, Math.round(960 / columns / finest));
    canvas.width = columns * (side + gap) + gap;
    canvas.height = Math.ceil(chains / columns) * (side + gap) + gap;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = false;
    for (let k = 0; k < chains; k++) {
      const x = gap + (k % columns) * (side + gap), y = gap + Math.floor(k / columns) * (side + gap);
      pen.drawImage(image, k * size, s * size, size, size, x, y, side, side);
    }
    find("where").setAttribute("aria-live", timer ? "off" : "polite");
    find("where").textContent = caption;
    slider.setAttribute("aria-valuetext", caption);
    film(+slider.value);
    jumps.forEach((button, place) => button.setAttribute("aria-pressed", String(place === g)));
  }
  /* All states at once: a row a chain, a column a frame. */
  const strip = find("film"), rows = Math.min(12, ...grids.map((grid) => grid.chains)), bar = 10;
  const cell = Math.max(8, Math.floor((960 - bar * grids.length) / frames.length));
  const left = (index) => index * cell + frames[index].g * bar;
  strip.width = left(frames.length - 1) + cell;
  strip.height = rows * cell;
  function film(now) {
    const pen = strip.getContext("2d");
    pen.clearRect(0, 0, strip.width, strip.height);
    frames.forEach(({ g, s }, index) => {
      const { size, image } = grids[g];
      pen.imageSmoothingEnabled = size > cell;
      for (let k = 0; k < rows; k++) {
        pen.drawImage(image, k * size, s * size, size, size, left(index), k * cell, cell - 1, cell - 1);
      }
    });
    pen.strokeStyle = getComputedStyle(slider).accentColor;
    pen.lineWidth = 4;
    pen.strokeRect(left(now) + 1, 2, cell - 3, strip.height - 4);
  }
  strip.addEventListener("click", (event) => {
    const place = event.offsetX * (strip.width / strip.clientWidth);
    const index = frames.findIndex((frame, k) => place < left(k) + cell);
    stop();
    show(index < 0 ? frames.length - 1 : index);
  });
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ Play";
    play.setAttribute("aria-label", "Play the chains");
  }
  function start() {
    if (+slider.value === frames.length - 1) show(0);
    timer = setInterval(() => {
      show(+slider.value + 1);
      if (+slider.value === frames.length - 1) stop();
    }, 260);
    play.textContent = "❚❚ Pause";
    play.setAttribute("aria-label", "Pause the chains");
  }

  slider.max = frames.length - 1;
  slider.addEventListener("input", () => { stop(); show(+slider.value); });
  play.addEventListener("click", () => (timer ? stop() : start()));
  canvas.addEventListener("keydown", (event) => {
    const all = frames.length;
    const move = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -all, End: all }[event.key];
    if (event.key === " ") play.click();
    else if (move) { stop(); show(+slider.value + move); }
    else return;
    event.preventDefault();
  });
  Promise.all(grids.map((grid) => {
    grid.image = new Image();
    grid.image.src = grid.sprite;
    return grid.image.decode();
  })).then(() => show(frames.length - 1));
}

/* Nice places for about `count` ticks between two values. */
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * power >= rough * 0.9) * power;
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9; k++) found.push(k * step);
  return found;
}

/* One chart: lines by grid, ticks, rollbacks, and a cursor that reads the values out. */
function chart(figure, panel, steps, events) {
  const plot = figure.querySelector(".plot"), legend = figure.querySelector(".legend");
  const values = panel.series.flatMap((series) => series.values).filter((v) => v !== null);
  let low = Math.min(0, ...values), high = Math.max(0, ...values);
  if (low === high) high = low + 1;
  const last = steps.length - 1;
  let cursor = null, x = null, at = last;

  const colour = (series) => `var(--grid${series.colour % 6})`;
  const dashes = (series) => (series.dashed ? { "stroke-dasharray": "5 4" } : {});
  const value = (series, k) => (k > (series.last ?? k) ? "ended" : say(series.values[k]));

  function draw() {
    const width = Math.max(130, plot.clientWidth), height = 170;
    const box = { left: 46, right: width - 8, top: 10, bottom: height - 22 };
    const from = steps[0], to = Math.max(steps[last], from + 1);
    x = (step) => box.left + ((step - from) / (to - from)) * (box.right - box.left);
    const y = (value) => box.bottom - ((value - low) / (high - low)) * (box.bottom - box.top);
    const svg = element("svg", {
      viewBox: `0 0 ${width} ${height}`, height, tabindex: "0", role: "img",
      "aria-label": `${panel.title} by iteration; at the end ${words(last)}`,
    });
    for (const value of ticks(low, high, 5)) {
      svg.append(element("line", { x1: box.left, x2: box.right, y1: y(value), y2: y(value), class: Math.abs(value) < 1e-12 ? "zero" : "rule" }));
      svg.append(element("text", { x: box.left - 6, y: y(value) + 4, "text-anchor": "end" }, say(value)));
    }
    let taken = -Infinity; // where the last number ends, so that none runs into the next
    for (const step of ticks(from, to, width < 300 ? 3 : 5).filter(Number.isInteger)) {
      const half = String(step).length * 3.5, middle = Math.min(x(step), width - half - 1);
      if (middle - half < taken + 4) continue;
      taken = middle + half;
      svg.append(element("text", { x: middle, y: height - 6, "text-anchor": "middle" }, step));
    }
    for (const event of events) {
      const mark = element("line", { x1: x(event.step), x2: x(event.step), y1: box.top, y2: box.bottom, class: "event" });
      mark.append(element("title", {}, `Rolled back at ${event.step} to ${event.back_to}: ${event.reason}`));
      const end = x(event.step) > width - 70;
      svg.append(mark, element("text", { x: x(event.step) + (end ? -4 : 4), y: box.top + 8, class: "event-word", "text-anchor": end ? "end" : "start" }, "rollback"));
    }
    for (const series of panel.series) {
      let path = "", pen = "M";
      series.values.forEach((value, k) => {
        if (value === null) { pen = "M"; return; }
        path += `${pen}${x(steps[k]).toFixed(1)} ${y(value).toFixed(1)}`;
        pen = "L";
      });
      svg.append(element("path", { d: path, style: `stroke:${colour(series)}`, ...dashes(series) }));
    }
    cursor = element("line", { y1: box.top, y2: box.bottom, class: "cursor", visibility: "hidden" });
    svg.append(cursor);
    svg.addEventListener("pointermove", (event) => {
      const area = svg.getBoundingClientRect();
      const place = (event.clientX - area.left) * (width / area.width);
      const step = from + ((place - box.left) / (box.right - box.left)) * (to - from);
      read(steps.reduce((best, s, k) => (Math.abs(s - step) < Math.abs(steps[best] - step) ? k : best), 0));
    });
    svg.addEventListener("pointerleave", rest);
    svg.addEventListener("blur", rest);
    svg.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!move) return;
      event.preventDefault();
      read(Math.max(0, Math.min(last, at + move)));
    });
    plot.replaceChildren(svg);
    rest();
  }
  function words(k) {
    return panel.series.map((series) => `${series.name || panel.title} ${value(series, k)}`).join(", ");
  }
  function read(k) {
    at = k;
    cursor.setAttribute("visibility", "visible");
    cursor.setAttribute("x1", x(steps[k]));
    cursor.setAttribute("x2", x(steps[k]));
    tell(`Iteration ${steps[k]}`, k);
  }
  function rest() {
    at = last;
    cursor.setAttribute("visibility", "hidden");
    tell(`At the end, iteration ${steps[last]}`, last);
  }
  function tell(where, k) {
    const place = document.createElement("span");
    place.className = "at";
    place.textContent = where;
    legend.replaceChildren(place, ...panel.series.map((series) => {
      const item = document.createElement("span"), key = element("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" });
      key.append(element("line", { x1: 0, x2: 22, y1: 4, y2: 4, "stroke-width": 2.5, style: `stroke:${colour(series)}`, ...dashes(series) }));
      item.append(key, `${series.name} ${value(series, k)}`.trim());
      return item;
    }));
  }
  draw();
  let width = plot.clientWidth;
  new ResizeObserver(() => {
    if (plot.clientWidth !== width) { width = plot.clientWidth; draw(); }
  }).observe(plot);
}

/* A sheet of images, laid out anew for a width: whole pixels, none smaller than it can be read.
   `flow` sheets break their lines anywhere; in a `table` a column belongs together. */
const WANTED = { finest: [64, 96, 128], coarse: [36, 36, 64], table: [60, 64, 64] }; // to 16, 48, and more pixels
const GAP = 3;

function layout(picture, width, large) {
  const { kind } = picture.dataset, [size, columns, rows, count] =
    ["size", "columns", "rows", "count"].map((key) => +picture.dataset[key]);
  const wanted = WANTED[kind][size <= 16 ? 0 : size <= 48 ? 1 : 2] * (large ? 2 : 1);
  let scale = Math.max(1, Math.floor(wanted / size));
  const fit = (k) => Math.floor((width + GAP) / (size * k + GAP));
  while (scale > 1 && fit(scale) < 2) scale -= 1;
  const tile = size * scale;
  if (kind === "table") {
    const across = Math.min(columns, large ? columns : Math.max(1, fit(scale)));
    return { size, tile, columns, across, down: rows, count, shown: across, of: columns, at: (x, y) => y * columns + x };
  }
  const few = kind === "coarse" && !large, every = Math.max(1, fit(scale));
  const across = Math.min(count, every, few ? 5 : every), lines = Math.ceil(count / across);
  const most = large ? lines : few ? 5 : Math.max(2, Math.floor(520 / tile));
  const down = Math.min(lines, most);
  return { size, tile, columns, across, down, count, shown: Math.min(count, across * down), of: count, at: (x, y) => y * across + x };
}

function paint(canvas, picture, plan) {
  const { size, tile, columns, across, down, count } = plan, sharp = Math.ceil(window.devicePixelRatio || 1);
  const step = (tile + GAP) * sharp;
  canvas.width = across * step - GAP * sharp;
  canvas.height = down * step - GAP * sharp;
  canvas.style.width = `${canvas.width / sharp}px`;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = false;
  for (let y = 0; y < down; y++) {
    for (let x = 0; x < across; x++) {
      const k = plan.at(x, y);
      if (k >= count) continue;
      const from = [(k % columns) * size, Math.floor(k / columns) * size];
      pen.drawImage(picture, ...from, size, size, x * step, y * step, tile * sharp, tile * sharp);
    }
  }
}

function sheet(picture) {
  const canvas = document.createElement("canvas"), place = picture.closest(".sheet");
  const told = picture.closest("figure").querySelector(".shown");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", picture.alt);
  picture.after(canvas);
  picture.hidden = true;
  let width = 0;
  function lay() {
    if (place.clientWidth === width) return;
    width = place.clientWidth;
    const plan = layout(picture, width, false);
    paint(canvas, picture, plan);
    const what = picture.dataset.kind === "table" ? "columns" : "images";
    told.textContent = plan.shown < plan.of ? `${plan.shown} of ${plan.of} ${what} are shown: click for all.` : "";
  }
  lay();
  new ResizeObserver(lay).observe(place);
}

/* A click on a picture shows it large, and all of it. */
function enlarge() {
  const large = find("large"), full = large.querySelector(".full");
  for (const button of document.querySelectorAll(".zoom")) {
    button.addEventListener("click", () => {
      const small = button.querySelector("img"), canvas = document.createElement("canvas");
      large.querySelector("p").textContent = small.alt;
      large.showModal();
      if (small.matches(".tiles")) {
        paint(canvas, small, layout(small, full.clientWidth - 8, true));
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", small.alt);
        full.replaceChildren(canvas);
      } else full.replaceChildren(small.cloneNode());
      full.scrollTo(0, 0);
    });
  }
  large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
}

/* The classifier's errors by number of labels: a line and a mark a kind of features. */
const MARKS = [
  (x, y) => element("circle", { cx: x, cy: y, r: 5 }),
  (x, y) => element("rect", { x: x - 4.5, y: y - 4.5, width: 9, height: 9 }),
  (x, y) => element("path", { d: `M${x} ${y - 6}L${x + 5.5} ${y + 4}H${x - 5.5}Z` }),
  (x, y) => element("path", { d: `M${x} ${y - 6}L${x + 6} ${y}L${x} ${y + 6}L${x - 6} ${y}Z` }),
  (x, y) => element("path", { d: `M${x} ${y + 6}L${x + 5.5} ${y - 4}H${x - 5.5}Z` }),
  (x, y) => element("rect", { x: x - 6, y: y - 3, width: 12, height: 6 }),
];

function few(figure, { labels, lines, whole }) {
  const plot = figure.querySelector(".plot"), tip = figure.querySelector(".tip");
  const shade = (place) => `--shade:var(--line${place % 6})`;
  const points = lines.flatMap((line) => line.cells.filter(Boolean));
  const high = Math.max(...points.map((cell) => cell.value + (cell.spread || 0)));

  figure.querySelector(".legend").append(...lines.map((line, place) => {
    const item = document.createElement("span"), key = element("svg", { viewBox: "0 0 30 14", "aria-hidden": "true", style: shade(place) });
    key.append(element("line", { x1: 0, x2: 30, y1: 7, y2: 7, class: "few-line" }), MARKS[place % 6](15, 7));
    if (line.own) item.className = "own";
    item.append(key, line.name);
    return item;
  }));

  function draw() {
    const width = Math.max(260, plot.clientWidth), height = Math.min(360, 200 + width / 6);
    const box = { left: 40, right: width - 16, top: 12, bottom: height - 40 };
    const [from, to] = [labels[0], labels[labels.length - 1]].map(Math.log);
    const x = (n, place) => {
      const share = from === to ? 0.5 : (Math.log(n) - from) / (to - from);
      const apart = Math.min(7, width / 90) * (place - (lines.length - 1) / 2);
      return box.left + 28 + share * (box.right - box.left - 56) + apart;
    };
    const y = (value) => box.bottom - (Math.max(0, value) / (high * 1.04 || 1)) * (box.bottom - box.top);
    const middle = (lines.length - 1) / 2;
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "group", "aria-label": "Test error in percent by number of labels; the table below has the same figures" });
    for (const value of ticks(0, high * 1.04, 6)) {
      svg.append(element("line", { x1: box.left, x2: box.right, y1: y(value), y2: y(value), class: value ? "rule" : "zero" }));
      svg.append(element("text", { x: box.left - 6, y: y(value) + 4, "text-anchor": "end" }, say(value)));
    }
    for (const n of labels) svg.append(element("text", { x: x(n, middle), y: box.bottom + 18, "text-anchor": "middle" }, n));
    svg.append(element("text", { x: (box.left + box.right) / 2, y: height - 4, "text-anchor": "middle" }, "labels, logarithmic"));
    if (whole !== null) {
      svg.append(element("line", { x1: box.left, x2: box.right, y1: y(whole), y2: y(whole), class: "whole" }));
      svg.append(element("text", { x: box.left + 4, y: y(whole) - 5 }, `with all labels ${say(whole)}`));
    }
    // The model's own lines are drawn last, over the others.
    const order = lines.map((line, place) => ({ line, place })).sort((a, b) => a.line.own - b.line.own);
    for (const { line, place } of order) {
      const group = element("g", { style: shade(place), class: line.own ? "own" : "" });
      let path = "", pen = "M";
      line.cells.forEach((cell, k) => {
        if (!cell) return;
        path += `${pen}${x(labels[k], place).toFixed(1)} ${y(cell.value).toFixed(1)}`;
        pen = "L";
      });
      group.append(element("path", { d: path, class: "few-line" }));
      line.cells.forEach((cell, k) => { if (cell) group.append(point(line, cell, labels[k], x(labels[k], place), y, place)); });
      svg.append(group);
    }
    plot.replaceChildren(svg);
    rest();
  }
  function point(line, cell, n, at, y, place) {
    const about = cell.spread === null ? "" : ` ± ${+cell.spread.toPrecision(2)}`;
    const words = `${line.name}, ${n} labels: ${say(cell.value)}${about} %`;
    const made = element("g", { class: "point", tabindex: "0", role: "img", "aria-label": words });
    made.append(element("title", {}, words));
    if (cell.spread !== null) {
      const [low, top] = [y(cell.value - cell.spread), y(cell.value + cell.spread)];
      made.append(element("path", { class: "error-bar", d: `M${at} ${low}V${top}M${at - 4} ${low}h8M${at - 4} ${top}h8` }));
    }
    made.append(MARKS[place % 6](at, y(cell.value)), element("circle", { cx: at, cy: y(cell.value), r: 9, class: "touch" }));
    for (const kind of ["pointerenter", "focus", "click"]) made.addEventListener(kind, () => { tip.textContent = words; });
    made.addEventListener("pointerleave", rest);
    return made;
  }
  function rest() { tip.textContent = ""; }
  draw();
  let width = plot.clientWidth;
  new ResizeObserver(() => {
    if (plot.clientWidth !== width) { width = plot.clientWidth; draw(); }
  }).observe(plot);
}

const chains = data("chains-data"), stages = data("curves-data");
if (chains) player(chains);
for (const group of document.querySelectorAll(".charts")) {
  const stage = stages[group.dataset.stage];
  for (const figure of group.querySelectorAll(".chart")) {
    chart(figure, stage.panels[figure.dataset.panel], stage.steps, stage.events);
  }
}
for (const picture of document.querySelectorAll("img.tiles")) picture.decode().then(() => sheet(picture));
if (find("few-data")) few(document.querySelector(".few"), data("few-data"));
enlarge();
