// Numbers as pictures on canvases.

// A colour of the page, by the name of its variable, as three numbers.
function colourOf(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
}

// The colour of a slot; from the ninth on they come again.
function slotColour(slot) {
  return `series-${slot % 8}`;
}

// Draws height x width pixels on a canvas, whose colours pixel(i) gives as three numbers in 0..255.
function paint(canvas, height, width, pixel) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height), data = picture.data;
  for (let i = 0, at = 0; i < height * width; i++, at += 4) {
    const colour = pixel(i);
    data[at] = colour[0];
    data[at + 1] = colour[1];
    data[at + 2] = colour[2];
    data[at + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}

// An image of numbers in [0, 1]; others are clipped.
function paintImage(canvas, model, numbers, start = 0) {
  const { channels } = model, colour = [0, 0, 0];
  paint(canvas, model.height, model.width, (i) => {
    for (let k = 0; k < 3; k++) colour[k] = 255 * numbers[start + i * channels + (k < channels ? k : 0)];
    return colour;
  });
}

// A derivative over the image that it belongs to: more in one colour, less in the other. Returns
// the largest change of a pixel.
function paintChange(canvas, model, numbers, image) {
  const { channels } = model, count = model.height * model.width;
  const change = new Float32Array(count);
  let most = 0;
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < channels; k++) change[i] += numbers[i * channels + k] / channels;
    most = Math.max(most, Math.abs(change[i]));
  }
  const more = [255, 138, 76], less = [84, 160, 255], colour = [0, 0, 0];
  paint(canvas, model.height, model.width, (i) => {
    let grey = 0;
    for (let k = 0; k < channels; k++) grey += image[i * channels + k] / channels;
    grey = 24 + 70 * Math.min(1, Math.max(0, grey));
    const share = most ? Math.min(1, Math.abs(change[i]) / most) : 0;
    const to = change[i] > 0 ? more : less;
    for (let k = 0; k < 3; k++) colour[k] = grey + share * (to[k] - grey);
    return colour;
  });
  return most;
}

// Which slot each pixel is made of: masks [pixels, slots] in the colours of the slots.
function paintMasks(canvas, model, masks) {
  const { slots } = model, colours = [];
  for (let k = 0; k < slots; k++) colours.push(colourOf(slotColour(k)));
  const colour = [0, 0, 0];
  paint(canvas, model.height, model.width, (i) => {
    colour.fill(0);
    for (let k = 0; k < slots; k++)
      for (let j = 0; j < 3; j++) colour[j] += masks[i * slots + k] * colours[k][j];
    return colour;
  });
}

// Gives a canvas as many pixels as the screen shows of it; returns its context in CSS pixels.
function sharp(canvas) {
  const ratio = window.devicePixelRatio || 1, { width, height } = canvas.getBoundingClientRect();
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}

// A latent along the values of a factor: a line, and a dot at the value of the picture.
function paintTrace(canvas, values, low, high, here) {
  const { context, width, height } = sharp(canvas);
  context.clearRect(0, 0, width, height);
  if (!width || values.length < 2) return;
  const x = (i) => 4 + (width - 8) * i / (values.length - 1);
  const y = (v) => 4 + (height - 8) * (high - Math.min(high, Math.max(low, v))) / (high - low);
  context.strokeStyle = getComputedStyle(canvas).color;
  context.lineWidth = 1.5;
  context.globalAlpha = 0.65;
  context.beginPath();
  values.forEach((v, i) => (i ? context.lineTo(x(i), y(v)) : context.moveTo(x(i), y(v))));
  context.stroke();
  context.globalAlpha = 1;
  context.fillStyle = `rgb(${colourOf("heat")})`;
  context.beginPath();
  context.arc(x(here), y(values[here]), 3, 0, 7);
  context.fill();
}
