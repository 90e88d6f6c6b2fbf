// A model of the page: what it holds of it, and its programs.

// How far a latent is moved to either side for the derivative of the image.
const DIFFERENCE = 0.01;

class Model {
  constructor(held, engine) {
    Object.assign(this, held);
    this.engine = engine;
    [this.height, this.width, this.channels] = held.shape;
    this.size = held.latent_shape.reduce((a, b) => a * b, 1);
    // Latents of one slot; all of them where there are no slots.
    this.each = held.latent_shape[held.latent_shape.length - 1];
    this.slots = held.latent_shape.length > 1 ? held.latent_shape[0] : 0;
  }

  get encodes() {
    return "encode" in this.engine.programs;
  }

  // Whether the encoder gives standard deviations, too.
  get deviates() {
    return this.encodes && this.engine.programs.encode.outputs.some(({ name }) => name === "stddev");
  }

  // { image, ... } of latents, and of a domain if there are several.
  decode(latents, domain = 0) {
    return this.engine.run("decode", { latents, domain: [domain] });
  }

  // { mean, stddev } of a picture of numbers in [0, 1]; without stddev where the page has no posterior.
  encode(images) {
    return this.engine.run("encode", { images });
  }

  // The derivative of the image to a latent by central differences.
  derivative(latents, latent, domain = 0) {
    const moved = Float32Array.from(latents);
    moved[latent] = latents[latent] + DIFFERENCE;
    const above = this.decode(moved, domain).image, upper = moved[latent];
    moved[latent] = latents[latent] - DIFFERENCE;
    const below = this.decode(moved, domain).image, width = upper - moved[latent];
    return above.map((x, i) => (x - below[i]) / width);
  }

  // The latents to begin with: the code of an image where there is an encoder.
  start() {
    return this.begin ? Float32Array.from(this.begin) : this.random();
  }

  // The mean code.
  middle() {
    const code = new Float32Array(this.size);
    for (const { index, mean } of this.latents)
      for (let i = index; i < this.size; i += this.each) code[i] = mean;
    return code;
  }

  // A code of the prior N(0, 1), or as spread as codes are where there is no prior.
  random() {
    const code = new Float32Array(this.size);
    for (const { index, mean, low, high } of this.latents)
      for (let i = index; i < this.size; i += this.each) {
        const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
        code[i] = this.prior ? normal : mean + normal * (high - low) / 4;
      }
    return code;
  }
}

// The models of the page, ready to run.
async function loadModels() {
  const module = await WebAssembly.compile(bytesOf(document.getElementById("kernels").textContent));
  const held = JSON.parse(document.getElementById("models").textContent);
  const models = [];
  for (const one of held) {
    const numbers = await unzipped(bytesOf(one.numbers));
    const model = new Model(one, new Engine(module, one.stored, numbers));
    delete model.numbers;
    models.push(model);
  }
  return models;
}
