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
  let timer = null;

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
    const side = (canvas.width - gap * (columns + 1)) / columns;
    canvas.height = Math.ceil(chains / columns) * (side + gap) + gap;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = false;
    for (let k = 0; k < chains; k++) {
      const x = gap + (k % columns) * (side + gap), y = gap + Math.floor(k / columns) * (side + gap);
      pen.drawImage(image, k * size, s * size, size, size, x, y, side, side);
    }
    find("where").textContent = caption;
    slider.setAttribute("aria-valuetext", caption);
    film(+slider.value);
    jumps.forEach((button, place) => button.setAttribute("aria-pressed", String(place === g)));
  }
  /* All states at once: a row a chain, a column a frame. */
  const strip = find("film"), rows = Math.min(16, ...grids.map((grid) => grid.chains)), bar = 10;
  const cell = Math.max(8, Math.floor((960 - bar * grids.length) / frames.length));
  const left = (index) => index * cell + frames[index].g * bar;
  strip.width = left(frames.length - 1) + cell;
  strip.height = rows * cell;
  function film(now) {
    const pen = strip.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.clearRect(0, 0, strip.width, strip.height);
    frames.forEach(({ g, s }, index) => {
      const { size, image } = grids[g];
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
    const move = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
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

  function draw() {
    const width = Math.max(240, plot.clientWidth), height = 190;
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
    for (const step of ticks(from, to, 5).filter(Number.isInteger)) {
      svg.append(element("text", { x: x(step), y: height - 6, "text-anchor": "middle" }, step));
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
    return panel.series.map((series) => `${series.name || panel.title} ${say(series.values[k])}`).join(", ");
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
      item.append(key, `${series.name} ${say(series.values[k])}`.trim());
      return item;
    }));
  }
  draw();
  let width = plot.clientWidth;
  new ResizeObserver(() => {
    if (plot.clientWidth !== width) { width = plot.clientWidth; draw(); }
  }).observe(plot);
}

/* A click on a picture shows it large. */
function enlarge() {
  const large = find("large");
  for (const button of document.querySelectorAll(".zoom")) {
    button.addEventListener("click", () => {
      const small = button.querySelector("img"), image = large.querySelector("img");
      image.src = small.src;
      image.alt = small.alt;
      large.querySelector("p").textContent = small.alt;
      large.showModal();
    });
  }
  large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
}

const chains = data("chains-data"), stages = data("curves-data");
if (chains) player(chains);
for (const group of document.querySelectorAll(".charts")) {
  const stage = stages[group.dataset.stage];
  for (const figure of group.querySelectorAll(".chart")) {
    chart(figure, stage.panels[figure.dataset.panel], stage.steps, stage.events);
  }
}
enlarge();
