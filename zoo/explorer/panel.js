// One model on the page: its pictures, the plane of two latents, its sliders.

// Images across the plane, and how long one frame may compute them, in milliseconds.
const ACROSS = 9, SLICE = 8;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && name !== "style") made[name] = value;
    else made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function digits(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size < 0.01 ? value.toExponential(0) : size < 10 ? value.toFixed(2) : value.toFixed(1);
}

class Panel {
  constructor(model) {
    this.model = model;
    this.code = model.start();
    this.posterior = null;
    this.trace = null;
    this.domain = 0;
    this.slot = 0;
    this.view = "image";
    this.chosen = model.latents[0].index;
    const second = (model.latents[1] || model.latents[0]).index;
    this.axes = [this.chosen, second];
    this.dirty = this.stale = true;
    this.build();
  }

  // The place in the code of a latent of the slot that is edited.
  at(latent) {
    return this.model.slots ? this.slot * this.model.each + latent : latent;
  }

  // What is known of a latent, by its number.
  latent(index) {
    return this.model.latents.find((latent) => latent.index === index);
  }

  // The ends of its slider: what codes reach, at least three deviations of the prior if it has one.
  ends({ low, high }) {
    const room = 0.25 * (high - low || 1);
    const ends = [low - room, high + room];
    if (this.model.prior) ends.push(-3, 3);
    return [Math.floor(Math.min(...ends) * 10) / 10, Math.ceil(Math.max(...ends) * 10) / 10];
  }

  build() {
    const { model } = this, active = model.latents.filter((latent) => latent.active);
    this.output = element("canvas", { className: "output", tabIndex: -1 });
    this.output.setAttribute("role", "img");
    this.plane = element("canvas", { className: "plane", tabIndex: 0 });
    this.plane.setAttribute("role", "application");
    this.plane.setAttribute("aria-label", "Two latents at once: drag, or move with the arrow keys");
    this.planeNote = element("p", { className: "note soft small" });
    this.note = element("p", { className: "note soft small" });
    this.element = element(
      "section", { className: "panel" },
      element("div", { className: "head" },
        element("h2", {}, model.name),
        element("p", { className: "soft small" }, this.facts(active.length))),
      element("div", { className: "views" },
        element("div", {}, element("div", { className: "caption" }, this.buildViews()), this.output, this.note),
        element("div", {},
          element("div", { className: "caption" }, element("h3", {}, "Two at once"), this.buildAxes()),
          this.plane, this.planeNote)),
      element("div", { className: "controls" }, ...this.buildStrip(), this.buildLatents(active)));
    this.listen();
  }

  facts(active) {
    const { model } = this, parts = [model.kind];
    if (model.domains) parts.push(`${model.domains} domains`);
    if (model.slots) parts.push(`${model.slots} slots of ${model.each} latents`);
    else parts.push(`${model.each} latents` + (active < model.each ? `, ${active} of them active` : ""));
    if (model.encoder) parts.push(model.encoder);
    return parts.filter(Boolean).join(" · ");
  }

  buildViews() {
    const names = { image: "Image", change: "Change" };
    if (this.model.slots) names.masks = "Slots";
    this.views = {};
    for (const [view, label] of Object.entries(names))
      this.views[view] = element("button", { type: "button", onclick: () => this.show(view) }, label);
    this.views.change.title = "The derivative of the image with respect to the chosen latent";
    return element("div", { className: "tools" }, ...Object.values(this.views));
  }

  buildAxes() {
    this.selects = [0, 1].map((axis) => {
      const name = axis ? "up" : "right";
      const select = element("select", { onchange: () => this.setAxis(axis, Number(select.value)) });
      select.setAttribute("aria-label", `Latent that grows to the ${axis ? "top" : "right"}`);
      select.title = name;
      for (const { index } of this.model.latents) select.append(new Option(`z${index}`, index));
      return select;
    });
    return element("div", { className: "tools" }, this.selects[0], element("span", { className: "soft small" }, "and"), this.selects[1]);
  }

  // What stands above the sliders: slots, or domains.
  buildStrip() {
    const { model } = this;
    this.cells = [];
    const count = model.slots || model.domains || 0;
    if (count < 2) return [];
    const strip = element("div", { className: "strip" });
    for (let k = 0; k < count; k++) {
      const canvas = element("canvas");
      const button = element("button", { type: "button", onclick: () => this.pick(k) },
        canvas, ...(model.slots ? [element("span", { className: "colour" }), `slot ${k + 1}`] : [`domain ${k}`]));
      if (model.slots) button.style.setProperty("--slot", `var(--${slotColour(k)})`);
      this.cells.push({ button, canvas });
      strip.append(button);
    }
    const made = [strip];
    if (model.domains && model.style)
      made.push(element("div", { className: "tools" },
        element("button", { type: "button", onclick: () => this.draw(0, model.style) }, "New style"),
        element("button", { type: "button", onclick: () => this.draw(model.style, model.size) }, "New content")));
    return made;
  }

  buildLatents(active) {
    this.rows = new Map();
    const { model } = this, list = element("div", { className: "latents" });
    const row = (latent) => this.buildLatent(latent);
    if (model.style) {
      list.append(element("h3", {}, "Style: changes with the domain"));
      list.append(...model.latents.filter((l) => l.index < model.style).map(row));
      list.append(element("h3", {}, "Content: the same in all domains"));
      list.append(...model.latents.filter((l) => l.index >= model.style).map(row));
      return list;
    }
    list.append(this.buildKey(), ...active.map(row));
    const dead = model.latents.filter((latent) => !latent.active);
    if (dead.length)
      list.append(element("details", { className: "dead" },
        element("summary", {}, dead.length === 1 ? "1 latent that carries nothing" : `${dead.length} latents that carry nothing`),
        ...dead.map(row)));
    return list;
  }

  buildKey() {
    const mark = (colour) => {
      const span = element("span", { className: "key" });
      span.style.background = colour;
      return span;
    };
    const key = element("p", { className: "soft small" }, mark(BAND), "95 % of the codes");
    if (this.model.deviates)
      key.append(" ", mark(POSTERIOR), "posterior of the picture, m ± 2 s ");
    this.along = element("span", { className: "along" });
    key.append(this.along);
    return key;
  }

  buildLatent(latent) {
    const { index, effect } = latent, [low, high] = this.ends(latent);
    const range = element("input", {
      type: "range", min: low, max: high, step: "any",
      oninput: () => this.set(this.at(index), Number(range.value)),
      onfocus: () => this.choose(index),
      onkeydown: (event) => this.nudge(event, range),
    });
    range.setAttribute("aria-label", `z${index}`);
    const measure = this.model.measure === "kl" ? `KL ${digits(effect)}` : `effect ${digits(effect)}`;
    const name = element("button", { type: "button", className: "name", onclick: () => this.choose(index, true) },
      `z${index}`, element("small", {}, measure));
    name.title = this.model.measure === "kl"
      ? "KL divergence from the prior, in nats, mean over images; choose this latent"
      : "Root of the mean squared change of a pixel for one standard deviation; choose this latent";
    const trace = element("canvas"), output = element("output");
    const made = element("div", { className: "latent" }, name, range, output, trace);
    this.rows.set(index, { latent, range, output, trace, element: made, low, high });
    return made;
  }

  // Arrow keys move by a fiftieth of the slider, with Shift by a tenth of that.
  nudge(event, range) {
    const sign = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!sign) return;
    event.preventDefault();
    const step = (range.max - range.min) / (event.shiftKey ? 500 : 50);
    range.value = Number(range.value) + sign * step;
    range.dispatchEvent(new Event("input"));
  }

  listen() {
    const drag = (event) => {
      const box = this.plane.getBoundingClientRect();
      this.movePlane((event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height);
    };
    this.plane.addEventListener("pointerdown", (event) => {
      this.plane.setPointerCapture(event.pointerId);
      this.plane.focus({ preventScroll: true });
      drag(event);
    });
    this.plane.addEventListener("pointermove", (event) => {
      if (this.plane.hasPointerCapture(event.pointerId)) drag(event);
    });
    this.plane.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key];
      if (!way) return;
      event.preventDefault();
      const step = event.shiftKey ? 0.005 : 0.025, [x, y] = this.planePlace();
      this.movePlane(x + step * way[0], y + step * way[1]);
    });
  }

  // Where in the plane the code is, both in [0, 1].
  planePlace() {
    return this.axes.map((latent) => {
      const { low, high } = this.rows.get(latent);
      return (this.code[this.at(latent)] - low) / (high - low);
    });
  }

  movePlane(...place) {
    this.axes.forEach((latent, i) => {
      const { low, high } = this.rows.get(latent);
      const share = Math.min(1, Math.max(0, place[i]));
      this.code[this.at(latent)] = low + share * (high - low);
    });
    // The map shows the same plane as before.
    this.dirty = true;
  }

  set(place, value) {
    this.code[place] = value;
    this.dirty = true;
    if (!this.axes.some((latent) => this.at(latent) === place)) this.stale = true;
  }

  // Takes a whole code, and the posterior that it is the mean of if there is one.
  take(code, posterior = null) {
    this.code = Float32Array.from(code);
    this.posterior = posterior;
    this.dirty = this.stale = true;
  }

  // Draws the latents from one place up to another anew.
  draw(from, to) {
    this.code.set(this.model.random().subarray(from, to), from);
    this.dirty = this.stale = true;
  }

  choose(latent, show = false) {
    this.chosen = latent;
    if (show && this.view === "image") this.view = "change";
    this.dirty = true;
  }

  show(view) {
    this.view = view;
    this.dirty = true;
  }

  pick(k) {
    if (this.model.slots) this.slot = k;
    else this.domain = k;
    this.dirty = this.stale = true;
  }

  setAxis(axis, latent) {
    if (this.axes[1 - axis] === latent) this.axes[1 - axis] = this.axes[axis];
    this.axes[axis] = latent;
    this.dirty = this.stale = true;
  }

  // Shows along which latents a factor moves the code: codes of pictures in the order of its values.
  follow(trace) {
    this.trace = trace;
    this.dirty = true;
  }

  // Shows the code as it is now.
  refresh() {
    this.dirty = false;
    const { model } = this, start = performance.now(), made = model.decode(this.code, this.domain);
    // How long an image takes, in milliseconds.
    this.cost = performance.now() - start;
    this.note.textContent = "";
    if (this.view === "change") {
      const latent = this.at(this.chosen);
      const most = paintChange(this.output, model, model.derivative(this.code, latent, this.domain), made.image);
      const of = model.slots ? `z${this.chosen} of slot ${this.slot + 1}` : `z${this.chosen}`;
      this.note.textContent = `Brighter (orange) and darker (blue) as ${of} grows; most: ${digits(most)} per unit`;
    } else if (this.view === "masks") paintMasks(this.output, model, made.masks);
    else paintImage(this.output, model, made.image);
    this.output.setAttribute("aria-label", `What ${model.name} makes of the code`);
    this.refreshStrip(made);
    if (this.along) this.along.textContent = this.trace ? `along ${this.trace.name}` : "";
    for (const [index, row] of this.rows) this.refreshRow(index, row);
    this.selects.forEach((select, axis) => (select.value = this.axes[axis]));
    for (const [view, button] of Object.entries(this.views))
      button.setAttribute("aria-pressed", view === this.view);
  }

  refreshStrip(made) {
    const { model } = this;
    this.cells.forEach(({ button, canvas }, k) => {
      button.setAttribute("aria-pressed", k === (model.slots ? this.slot : this.domain));
      const size = model.height * model.width * model.channels;
      if (model.slots) paintImage(canvas, model, made.parts, k * size);
      else paintImage(canvas, model, k === this.domain ? made.image : model.decode(this.code, k).image);
    });
  }

  refreshRow(index, { latent, range, output, trace, element: row, low, high }) {
    const value = this.code[this.at(index)], share = (x) => (x - low) / (high - low);
    if (Number(range.value) !== value) range.value = value;
    output.textContent = value.toFixed(2);
    range.setAttribute("aria-valuetext", value.toFixed(2));
    row.classList.toggle("chosen", index === this.chosen);
    range.style.setProperty("--track", strip(BAND, share(latent.low), share(latent.high)));
    const { mean, stddev } = this.posterior || {};
    const m = mean && mean[this.at(index)], s = stddev && stddev[this.at(index)];
    range.style.setProperty("--below", stddev ? strip(POSTERIOR, share(m - 2 * s), share(m + 2 * s)) : "none");
    row.classList.toggle("traced", Boolean(this.trace));
    trace.hidden = !this.trace;
    if (this.trace && row.offsetParent && latent.active) {
      const values = this.trace.codes.map((code) => code[index]);
      paintTrace(trace, values, low, high, this.trace.here);
    }
  }

  // Goes on with the map of the plane: images of codes of which two latents differ.
  *map() {
    const { model } = this, [right, up] = this.axes.map((latent) => this.rows.get(latent));
    const cell = element("canvas"), made = element("canvas", { width: ACROSS * model.width, height: ACROSS * model.height });
    const context = made.getContext("2d"), code = Float32Array.from(this.code);
    const order = [...Array(ACROSS * ACROSS).keys()];
    for (const number of order) {
      const column = number % ACROSS, line = Math.floor(number / ACROSS);
      code[this.at(this.axes[0])] = right.low + (right.high - right.low) * (column + 0.5) / ACROSS;
      code[this.at(this.axes[1])] = up.high - (up.high - up.low) * (line + 0.5) / ACROSS;
      paintImage(cell, model, model.decode(code, this.domain).image);
      context.drawImage(cell, column * model.width, line * model.height);
      if (column === ACROSS - 1) this.mapped = made;
      yield;
    }
  }

  refreshPlane(milliseconds) {
    if (this.stale) {
      this.stale = false;
      this.mapping = this.map();
    }
    const until = performance.now() + milliseconds;
    while (this.mapping && performance.now() < until) if (this.mapping.next().done) this.mapping = null;
    const { context, width, height } = sharp(this.plane);
    if (!this.mapped || !width) return;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.mapped, 0, 0, width, height);
    const [x, y] = this.planePlace(), [left, top] = [x * width, (1 - y) * height];
    for (const [style, line] of [["rgba(0, 0, 0, .65)", 4], ["#ffffff", 2]]) {
      context.strokeStyle = style;
      context.lineWidth = line;
      context.beginPath();
      context.arc(left, top, 8, 0, 7);
      context.moveTo(left - 14, top);
      context.lineTo(left + 14, top);
      context.moveTo(left, top - 14);
      context.lineTo(left, top + 14);
      context.stroke();
    }
    const [right, up] = this.axes;
    this.planeNote.textContent =
      `z${right} ${this.code[this.at(right)].toFixed(2)}, z${up} ${this.code[this.at(up)].toFixed(2)}`;
  }
}

// The marks of a slider.
const BAND = "color-mix(in srgb, var(--heat) 38%, var(--rule))", POSTERIOR = "var(--series-1)", THUMB = 20;

// A part of a slider in a colour, between two shares of the way of its thumb.
function strip(colour, from, to) {
  const [a, b] = [from, to].map((x) => {
    const share = Math.min(1, Math.max(0, x)).toFixed(4);
    return `calc(${THUMB / 2}px + ${share} * (100% - ${THUMB}px))`;
  });
  return `linear-gradient(90deg, transparent ${a}, ${colour} ${a} ${b}, transparent ${b})`;
}
