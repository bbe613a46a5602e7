// An animated GIF (89a) of pictures that differ little: one palette, changed rectangles only, LZW.
// A picture is what a canvas gives: {width, height, data} with four bytes a pixel.

const COLOURS = 256;

/** Bytes of a GIF. frames: [{picture, delay}], delays in milliseconds; all pictures of one size. */
export async function encodeGif(frames, pause = () => Promise.resolve()) {
  const { width, height } = frames[0].picture;
  const palette = new Palette(frames.map((frame) => frame.picture));
  const out = new Bytes();
  out.text("GIF89a");
  out.short(width, height);
  out.byte(0xf7, 0, 0); // a global table of 256 colours
  palette.entries.forEach((colour) => out.byte(colour >> 16, (colour >> 8) & 255, colour & 255));
  out.byte(0x21, 0xff, 11);
  out.text("NETSCAPE2.0");
  out.byte(3, 1, 0, 0, 0); // for ever
  let before = null;
  for (const { picture, delay } of frames) {
    const indices = palette.indices(picture);
    const box = changed(before, indices, width, height);
    out.byte(0x21, 0xf9, 4, 4); // the next picture is laid over this one
    out.short(Math.round(delay / 10));
    out.byte(0, 0, 0x2c);
    out.short(box.left, box.top, box.width, box.height);
    out.byte(0);
    compress(cut(indices, width, box), out);
    before = indices;
    await pause();
  }
  out.byte(0x3b);
  return out.whole();
}

class Bytes {
  constructor() {
    this.room = new Uint8Array(1 << 16);
    this.used = 0;
  }

  byte(...values) {
    for (const value of values) {
      if (this.used === this.room.length) {
        const larger = new Uint8Array(2 * this.room.length);
        larger.set(this.room);
        this.room = larger;
      }
      this.room[this.used++] = value;
    }
  }

  short(...values) {
    for (const value of values) this.byte(value & 255, value >> 8);
  }

  text(characters) {
    for (const character of characters) this.byte(character.charCodeAt(0));
  }

  whole() {
    return this.room.slice(0, this.used);
  }
}

/** The commonest colours of some pictures; others become the nearest of them. */
class Palette {
  constructor(pictures) {
    const counts = new Map();
    for (const picture of pictures) {
      const pixels = new Uint32Array(picture.data.buffer, picture.data.byteOffset, picture.data.length / 4);
      for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
    }
    const common = [...counts].sort((a, b) => b[1] - a[1]).slice(0, COLOURS);
    this.entries = common.map(([pixel]) => rgb(pixel));
    while (this.entries.length < COLOURS) this.entries.push(0);
    this.known = new Map(common.map(([pixel], index) => [pixel, index]));
    this.size = common.length;
  }

  indices(picture) {
    const pixels = new Uint32Array(picture.data.buffer, picture.data.byteOffset, picture.data.length / 4);
    const found = new Uint8Array(pixels.length);
    let last = -1;
    let index = 0;
    pixels.forEach((pixel, i) => {
      if (pixel !== last) {
        index = this.known.get(pixel) ?? this.nearest(pixel);
        last = pixel;
      }
      found[i] = index;
    });
    return found;
  }

  nearest(pixel) {
    const colour = rgb(pixel);
    let best = 0;
    let least = Infinity;
    for (let i = 0; i < this.size; i++) {
      const entry = this.entries[i];
      const red = (entry >> 16) - (colour >> 16);
      const green = ((entry >> 8) & 255) - ((colour >> 8) & 255);
      const blue = (entry & 255) - (colour & 255);
      const far = 2 * red * red + 4 * green * green + 3 * blue * blue;
      if (far < least) [least, best] = [far, i];
    }
    this.known.set(pixel, best);
    return best;
  }
}

/** 0xRRGGBB of a pixel as a little-endian machine reads it (A, B, G, R). */
const rgb = (pixel) => ((pixel & 255) << 16) | (pixel & 0xff00) | ((pixel >> 16) & 255);

/** The smallest rectangle with all that is new; a pixel if nothing is. */
function changed(before, now, width, height) {
  if (!before) return { left: 0, top: 0, width, height };
  let [left, right, top, bottom] = [width, -1, -1, 0];
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i++) {
      if (before[i] === now[i]) continue;
      if (top < 0) top = y;
      bottom = y;
      if (x < left) left = x;
      if (x > right) right = x;
    }
  return top < 0 ? { left: 0, top: 0, width: 1, height: 1 }
    : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

function cut(indices, width, box) {
  const part = new Uint8Array(box.width * box.height);
  for (let y = 0; y < box.height; y++) {
    const from = (box.top + y) * width + box.left;
    part.set(indices.subarray(from, from + box.width), y * box.width);
  }
  return part;
}

/** LZW with codes of 9 to 12 bits, in blocks of at most 255 bytes. */
function compress(indices, out) {
  const clear = 256;
  const block = [];
  let bits = 0;
  let held = 0;
  let table = new Map();
  let next = clear + 2;
  let size = 9;
  const flush = () => {
    out.byte(block.length, ...block);
    block.length = 0;
  };
  const put = (code) => {
    held |= code << bits;
    for (bits += size; bits >= 8; bits -= 8, held >>= 8) {
      block.push(held & 255);
      if (block.length === 255) flush();
    }
  };
  out.byte(8);
  put(clear);
  let prefix = indices[0];
  for (let i = 1; i < indices.length; i++) {
    const key = (prefix << 8) | indices[i];
    const code = table.get(key);
    if (code !== undefined) {
      prefix = code;
      continue;
    }
    put(prefix);
    if (next === 4096) {
      put(clear);
      table = new Map();
      next = clear + 2;
      size = 9;
    } else {
      if (next === 1 << size) size++;
      table.set(key, next++);
    }
    prefix = indices[i];
  }
  put(prefix);
  put(clear + 1);
  if (bits) block.push(held & 255);
  if (block.length) flush();
  out.byte(0);
}
