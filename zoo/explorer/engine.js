// Runs the programs of zoo/explorer/program.py by the kernels of kernels.c.

// The bytes of base64.
function bytesOf(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

// What gzip made of bytes.
async function unzipped(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// A model that is ready to run: its programs by name, each called with numbers by name.
class Engine {
  // kernels: the compiled WebAssembly.Module. stored: { programs, constants }. numbers: the bytes
  // of the constants.
  constructor(kernels, stored, numbers) {
    this.kernels = new WebAssembly.Instance(kernels, {}).exports;
    this.memory = this.kernels.memory;
    this.end = this.kernels.__heap_base.value;
    const places = this.unpack(stored.constants, numbers);
    this.programs = {};
    for (const [name, program] of Object.entries(stored.programs))
      this.programs[name] = this.prepare(program, places);
  }

  // The place of that many bytes of memory.
  allot(bytes) {
    const place = Math.ceil(this.end / 16) * 16;
    this.end = place + bytes;
    const missing = this.end + 64 - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / 65536));
    return place;
  }

  floats(place, length) {
    return new Float32Array(this.memory.buffer, place, length);
  }

  // Writes the constants; see Constants.packed.
  unpack(kinds, numbers) {
    const view = new DataView(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    let wide = 0, low = 0;
    for (const [kind, size, scales] of kinds) low += 4 * (kind === "f" ? size : scales);
    let high = low + (numbers.length - low) / 2;
    const places = kinds.map(([, size]) => this.allot(4 * size));
    kinds.forEach(([kind, size, columns], number) => {
      const out = this.floats(places[number], size);
      if (kind === "f") {
        for (let i = 0; i < size; i++) out[i] = view.getFloat32(wide + 4 * i, true);
        wide += 4 * size;
        return;
      }
      for (let i = 0; i < size; i++) out[i] = view.getInt8(high + i) * 256 + numbers[low + i];
      low += size;
      high += size;
      if (kind === "i") return;
      const scales = new Float32Array(columns);
      for (let j = 0; j < columns; j++) scales[j] = view.getFloat32(wide + 4 * j, true);
      wide += 4 * columns;
      for (let i = 0, j = 0; i < size; i++) {
        out[i] *= scales[j];
        if (++j === columns) j = 0;
      }
    });
    return places;
  }

  // Resolves the places of a program, runs what depends on no input, and keeps the rest.
  prepare(program, places) {
    const base = this.allot(4 * program.size);
    const at = (place) => place === null ? 0 : place < 0 ? places[-1 - place] : base + 4 * place;
    const integers = this.allot(4 * program.steps.reduce((sum, step) => sum + step[3].length, 0));
    const list = new Int32Array(this.memory.buffer, integers);
    const later = [];
    let next = 0;
    for (const [name, inputs, out, numbers, once] of program.steps) {
      const place = integers + 4 * next;
      list.set(numbers, next);
      next += numbers.length;
      const step = [this.kernels[name], ...inputs.map(at), at(out), place];
      if (once) step[0](step[1], step[2], step[3], step[4], step[5]);
      else later.push(step);
    }
    const placed = (values) => Object.entries(values).map(([name, { at: place, shape }]) => {
      return { name, place: at(place), size: shape.reduce((a, b) => a * b, 1) };
    });
    return { steps: later, inputs: placed(program.inputs), outputs: placed(program.outputs) };
  }

  // Outputs by name, Float32Arrays of their own, of inputs by name.
  run(name, given) {
    const program = this.programs[name];
    for (const input of program.inputs) {
      const numbers = given[input.name];
      if (numbers.length !== input.size)
        throw new Error(`${name}: ${input.name} has ${numbers.length} numbers, not ${input.size}`);
      this.floats(input.place, input.size).set(numbers);
    }
    for (const [kernel, a, b, c, out, integers] of program.steps) kernel(a, b, c, out, integers);
    const results = {};
    for (const output of program.outputs)
      results[output.name] = this.floats(output.place, output.size).slice();
    return results;
  }
}
