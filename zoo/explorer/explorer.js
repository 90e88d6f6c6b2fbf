// The page: which models are shown, and the picture that all of them encode.

// Pictures of the data that are offered to be chosen.
const OFFERED = 14;

class Explorer {
  constructor() {
    this.panels = [];
    this.shown = [];
    this.frames = 0;
    // The user's picture while it is shown: { picture, origin }.
    this.own = null;
    this.levels = [];
    this.followed = null;
    this.ready = this.load();
  }

  async load() {
    const message = document.getElementById("message");
    try {
      const models = await loadModels();
      this.panels = models.map((model) => new Panel(model));
      this.sheets = await Promise.all(models.map((model) => this.sheet(model)));
    } catch (error) {
      message.className = "error";
      message.textContent = `The explorer cannot run in this browser: ${error.message}`;
      throw error;
    }
    message.textContent = "";
    this.chosen = this.panels.map((_, i) => i).slice(0, 2);
    this.two = this.panels.length > 1;
    this.listen();
    this.arrange();
    requestAnimationFrame(() => this.frame());
  }

  // The pixels of the pictures that a model brings along.
  async sheet(model) {
    if (!model.sheet) return null;
    const image = new Image();
    image.src = model.sheet.url;
    await image.decode();
    const canvas = element("canvas", { width: image.width, height: image.height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const { columns } = model.sheet, { width, height } = model;
    return (number) =>
      context.getImageData((number % columns) * width, Math.floor(number / columns) * height, width, height);
  }

  // The panel whose pictures are shown: the first one with an encoder and pictures.
  get leading() {
    return this.shown.find((i) => this.sheets[i] && this.panels[i].model.encodes);
  }

  arrange() {
    this.shown = this.two ? this.chosen : this.chosen.slice(0, 1);
    const place = document.getElementById("panels");
    place.className = this.shown.length > 1 ? "two" : "";
    place.replaceChildren(...this.shown.map((i) => this.panels[i].element));
    const beside = document.getElementById("beside");
    beside.hidden = this.panels.length < 2;
    beside.setAttribute("aria-pressed", this.two);
    this.arrangeChoice();
    const encodes = this.shown.some((i) => this.panels[i].model.encodes);
    document.getElementById("source").hidden = !encodes;
    if (encodes) this.arrangeSource();
    for (const i of this.shown) this.panels[i].dirty = this.panels[i].stale = true;
  }

  arrangeChoice() {
    const selects = this.panels.length < 2 ? [] : this.shown.map((_, side) => {
      const select = element("select", { onchange: () => this.choose(side, Number(select.value)) });
      select.setAttribute("aria-label", this.two ? `Model ${side + 1}` : "Model");
      this.panels.forEach((panel, i) => select.append(new Option(panel.model.name, i)));
      select.value = this.chosen[side];
      return select;
    });
    document.getElementById("chosen").replaceChildren(...selects);
  }

  choose(side, number) {
    const other = this.chosen.indexOf(number);
    if (other >= 0) this.chosen[other] = this.chosen[side];
    this.chosen[side] = number;
    this.arrange();
  }

  // The pictures, and the sliders of factors, of the leading model.
  arrangeSource() {
    const leading = this.leading, factors = document.getElementById("factors");
    const examples = document.getElementById("examples");
    factors.replaceChildren();
    examples.replaceChildren();
    document.getElementById("another").hidden = leading === undefined;
    if (leading === undefined) return;
    const { model } = this.panels[leading], { count } = model.sheet;
    this.factorRows = model.factors.map((factor, axis) => this.factorRow(factor, axis));
    if (model.factors.length) factors.append(element("h3", {}, "Ground-truth factors"), ...this.factorRows.map((row) => row.element));
    factors.hidden = !model.factors.length;
    this.offered = Array.from({ length: Math.min(OFFERED, count) }, (_, i) => Math.floor((i * 0.618034 + 0.31) % 1 * count));
    for (const number of this.offered) {
      const canvas = element("canvas", { width: model.width, height: model.height });
      canvas.getContext("2d").putImageData(this.sheets[leading](number), 0, 0);
      const button = element("button", { type: "button", onclick: () => this.show(number) }, canvas);
      button.setAttribute("aria-label", `Picture ${number}`);
      button.dataset.number = number;
      examples.append(button);
    }
    this.followed = model.factors.findIndex((factor) => !factor.categorical && factor.values.length > 2);
    if (this.own) {
      this.place(this.offered[0]);
      this.showOwn();
    } else this.show(this.offered[0]);
  }

  factorRow(factor, axis) {
    const last = factor.values.length - 1;
    const range = element("input", { type: "range", min: 0, max: last, step: 1, oninput: () => this.setFactor(axis, Number(range.value)) });
    range.setAttribute("aria-label", factor.name);
    range.addEventListener("focus", () => this.followFactor(axis));
    const output = element("output");
    return { range, output, element: element("div", { className: "row" }, element("span", {}, factor.name), range, output) };
  }

  // The number of the picture of some levels of the factors.
  numberOf(levels) {
    const { factors } = this.panels[this.leading].model;
    return levels.reduce((number, level, axis) => number * factors[axis].values.length + level, 0);
  }

  levelsOf(number) {
    const levels = [];
    for (const factor of this.panels[this.leading].model.factors.slice().reverse()) {
      levels.unshift(number % factor.values.length);
      number = Math.floor(number / factor.values.length);
    }
    return levels;
  }

  setFactor(axis, level) {
    this.levels[axis] = level;
    this.followed = axis;
    this.show(this.numberOf(this.levels));
  }

  followFactor(axis) {
    this.followed = axis;
    this.trace();
  }

  // Encodes a picture of the sheet.
  show(number) {
    const leading = this.leading;
    this.own = null;
    this.place(number);
    for (const button of document.getElementById("examples").children)
      button.setAttribute("aria-pressed", Number(button.dataset.number) === number);
    this.encode(this.sheets[leading](number), `From ${this.panels[leading].model.source}`);
  }

  // Encodes the user's picture, which is none of the sheet.
  showOwn() {
    for (const button of document.getElementById("examples").children) button.setAttribute("aria-pressed", false);
    this.encode(this.own.picture, this.own.origin);
  }

  // Sets the sliders of the factors to a picture of the sheet.
  place(number) {
    this.levels = this.levelsOf(number);
    const { factors } = this.panels[this.leading].model;
    factors.forEach((factor, axis) => {
      const level = this.levels[axis], { range, output } = this.factorRows[axis];
      range.value = level;
      const value = factor.categorical ? `${factor.places[level] + 1} of ${factor.size}` : digits(factor.values[level]);
      output.textContent = value;
      range.setAttribute("aria-valuetext", value);
    });
  }

  // Lets every model that is shown encode a picture (ImageData, or what can be drawn); says whence it is.
  encode(picture, origin) {
    const canvas = document.getElementById("input");
    document.getElementById("origin").textContent = origin;
    for (const i of this.shown) {
      const { model } = this.panels[i];
      if (!model.encodes) continue;
      const images = numbersOf(picture, model, canvas);
      const posterior = model.encode(images);
      this.panels[i].take(posterior.mean, posterior);
    }
    this.trace();
  }

  // The codes along the values of the factor that was moved last, for the lines beside the sliders.
  trace() {
    const leading = this.leading;
    const factor = leading === undefined || this.own ? null : this.panels[leading].model.factors[this.followed];
    for (const i of this.shown) {
      const { model } = this.panels[i];
      if (!factor || model.slots || !model.encodes) {
        this.panels[i].follow(null);
        continue;
      }
      const codes = factor.values.map((_, level) => {
        const levels = this.levels.slice();
        levels[this.followed] = level;
        return model.encode(numbersOf(this.sheets[leading](this.numberOf(levels)), model)).mean;
      });
      this.panels[i].follow({ name: factor.name, codes, here: this.levels[this.followed] });
    }
    (this.factorRows || []).forEach((row, axis) => row.element.classList.toggle("followed", Boolean(factor) && axis === this.followed));
  }

  // A file of the user's.
  async take(file) {
    const message = document.getElementById("message");
    try {
      const picture = await createImageBitmap(file);
      this.own = { picture, origin: file.name ? `Your own: ${file.name}` : "Your own" };
    } catch {
      message.className = "error";
      message.textContent = `${file.name || "What was dropped"} is no picture that this browser reads`;
      return;
    }
    message.textContent = "";
    this.showOwn();
  }

  listen() {
    const get = (id) => document.getElementById(id);
    get("another").addEventListener("click", () => {
      const { model } = this.panels[this.leading];
      this.show(Math.floor(Math.random() * model.sheet.count));
    });
    get("beside").addEventListener("click", () => {
      this.two = !this.two;
      this.arrange();
    });
    get("file").addEventListener("change", (event) => event.target.files[0] && this.take(event.target.files[0]));
    get("own").addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") get("file").click();
    });
    get("theme").addEventListener("click", () => this.setTheme(this.dark ? "light" : "dark"));
    this.setTheme(null);
    window.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
    window.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
    window.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      if (event.dataTransfer.files[0]) this.take(event.dataTransfer.files[0]);
    });
    window.addEventListener("paste", (event) => event.clipboardData.files[0] && this.take(event.clipboardData.files[0]));
    window.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("resize", () => this.shown.forEach((i) => (this.panels[i].dirty = true)));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    for (const i of this.shown) {
      const panel = this.panels[i];
      if (event.key === "r" || event.key === "R") panel.take(panel.model.random());
      else if (event.key === "0") panel.take(panel.model.middle());
      else if (event.key === "h" || event.key === "H") panel.show(panel.view === "change" ? "image" : "change");
      else return;
    }
  }

  get dark() {
    const { theme } = document.documentElement.dataset;
    return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  setTheme(theme) {
    if (theme) document.documentElement.dataset.theme = theme;
    document.getElementById("theme").textContent = this.dark ? "Light" : "Dark";
    for (const panel of this.panels) panel.dirty = true;
  }

  // One frame: what has changed is shown, then the maps of the planes go on.
  frame() {
    for (const i of this.shown) {
      const panel = this.panels[i], changed = panel.dirty;
      if (changed) panel.refresh();
      // A slow model leaves the map for when its latents rest.
      const slice = changed && panel.cost > SLICE ? 0 : SLICE / this.shown.length;
      if (changed || panel.stale || panel.mapping) panel.refreshPlane(slice);
      if (changed) this.frames++;
    }
    requestAnimationFrame(() => this.frame());
  }
}

// A picture as the numbers that a model encodes, scaled to its size; also drawn on a canvas.
function numbersOf(picture, model, shown = null) {
  const { width, height, channels } = model, canvas = shown || element("canvas");
  let drawn = picture;
  if (picture instanceof ImageData) {
    drawn = element("canvas", { width: picture.width, height: picture.height });
    drawn.getContext("2d").putImageData(picture, 0, 0);
  }
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  // The whole picture, on black.
  const scale = Math.min(width / drawn.width, height / drawn.height);
  const [w, h] = [drawn.width * scale, drawn.height * scale];
  context.imageSmoothingEnabled = scale !== 1;
  context.imageSmoothingQuality = "high";
  context.fillRect(0, 0, width, height);
  context.drawImage(drawn, (width - w) / 2, (height - h) / 2, w, h);
  const pixels = context.getImageData(0, 0, width, height);
  const numbers = new Float32Array(width * height * channels), { data } = pixels;
  for (let i = 0; i < width * height; i++) {
    const [r, g, b] = [data[4 * i] / 255, data[4 * i + 1] / 255, data[4 * i + 2] / 255];
    if (channels === 1) numbers[i] = r === g && g === b ? r : 0.299 * r + 0.587 * g + 0.114 * b;
    else numbers.set([r, g, b], 3 * i);
  }
  return numbers;
}

window.explorer = new Explorer();
