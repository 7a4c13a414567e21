// The reader in a page: from strokes to a picture as MNIST has them, and on to probabilities.
// What photo.py, strokes.py, utils/centring.py and models.CompactCNN do in Python, done here for
// ink on white paper; tests hold the two together.

function makeReader(network) {
  const UNITS = 1000, PEN = 75, DRAWN = 84, FINER = 4;
  const BOX = 20, SIDE = 28, MIDDLE = 14, TIE = 1e-3;
  const THIN = 0.07, NORMAL = 0.1; // stroke width by the digit's longer side
  const FAINTEST = 0.08, SMALLEST = 8, WIDEST = 1.8, MOST_HOLES = 4, THICKEST = 0.8;
  const BINS = 128;

  class Refusal extends Error {}

  // --- the drawing: strokes.draw_strokes ---------------------------------------------

  // Ink of each pixel, 0 to 1: DRAWN x DRAWN, row by row.
  function drawStrokes(strokes, pen = PEN) {
    const side = FINER * DRAWN, scale = side / UNITS, radius = scale * pen / 2;
    const fine = new Uint8Array(side * side);
    for (const stroke of strokes) {
      const points = stroke.map(([x, y]) => [scale * x, scale * y]);
      if (points.length === 1) points.push(points[0]);
      for (let i = 1; i < points.length; i++) drawSegment(fine, side, points[i - 1], points[i], radius);
    }
    const ink = new Float64Array(DRAWN * DRAWN);
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        ink[Math.floor(row / FINER) * DRAWN + Math.floor(column / FINER)] += fine[row * side + column];
      }
    }
    // As bytes of paper, 0 to 255, which the picture in Python is kept in.
    return ink.map((count) => 1 - roundHalfEven(255 * (1 - count / (FINER * FINER))) / 255);
  }

  // All pixels whose centre lies within the pen's radius of a segment.
  function drawSegment(fine, side, [x0, y0], [x1, y1], radius) {
    const dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
    const first = (a, b) => Math.max(0, Math.floor(Math.min(a, b) - radius));
    const last = (a, b) => Math.min(side - 1, Math.ceil(Math.max(a, b) + radius));
    for (let row = first(y0, y1); row <= last(y0, y1); row++) {
      for (let column = first(x0, x1); column <= last(x0, x1); column++) {
        const px = column + 0.5 - x0, py = row + 0.5 - y0;
        const along = length > 0 ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        const rx = px - along * dx, ry = py - along * dy;
        if (rx * rx + ry * ry <= radius * radius) fine[row * side + column] = 1;
      }
    }
  }

  function roundHalfEven(value) {
    const floor = Math.floor(value), rest = value - floor;
    if (rest !== 0.5) return Math.round(value);
    return floor % 2 === 0 ? floor : floor + 1;
  }

  // --- the digit in it: photo.find_digit ---------------------------------------------

  // The picture that the network sees: SIDE x SIDE, 0 (paper) to 1 (ink).
  function findDigit(ink, side = DRAWN) {
    const mask = findStrokes(ink, side);
    return asInMnist(ink, mask, side);
  }

  function findStrokes(ink, side) {
    const smooth = blur(ink, side, Math.max(0.5, side / 250));
    const threshold = otsu(smooth);
    const mask = Uint8Array.from(smooth, (value) => (value > threshold ? 1 : 0));
    const count = sum(mask);
    let inside = 0, outside = 0;
    smooth.forEach((value, i) => { if (mask[i]) inside += value; else outside += value; });
    const contrast = count > 0 && count < mask.length
      ? inside / count - outside / (mask.length - count) : 0;
    if (contrast < FAINTEST) throw new Refusal("nothing is drawn on it: the picture is as good as blank");
    if (count / mask.length > 0.5) {
      throw new Refusal("there is more ink than paper: show the digit with some space around");
    }
    const { labels, pieces } = label(mask, side);
    const shapes = joinedShapes(pieces);
    if (shapes.length > 1) throw new Refusal(`there are ${shapes.length} separate shapes, and a digit is one`);
    const own = new Set(shapes[0].labels);
    const digit = labels.map((number) => (own.has(number) ? 1 : 0));
    checkForm(digit, side, shapes[0]);
    return digit;
  }

  // A Gaussian as SciPy has it: as far as four sigma, mirrored at the edges.
  function blur(values, side, sigma) {
    const reach = Math.floor(4 * sigma + 0.5);
    const kernel = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-0.5 * ((i - reach) / sigma) ** 2));
    const total = sum(kernel);
    const mirrored = (i) => (i < 0 ? -i - 1 : i >= side ? 2 * side - 1 - i : i);
    const along = (from, index) => {
      const to = new Float64Array(from.length);
      for (let line = 0; line < side; line++) {
        for (let i = 0; i < side; i++) {
          let value = 0;
          for (let k = -reach; k <= reach; k++) value += kernel[k + reach] / total * from[index(line, mirrored(i + k))];
          to[index(line, i)] = value;
        }
      }
      return to;
    };
    const down = along(values, (column, row) => row * side + column);
    return along(down, (row, column) => row * side + column);
  }

  // The threshold that separates two classes best (Otsu, 1979).
  function otsu(values) {
    const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
    const [start, end] = high > low ? [low, high] : [low - 0.5, high + 0.5];
    const edges = Array.from({ length: BINS + 1 }, (_, i) => start + (end - start) * i / BINS);
    const counts = new Float64Array(BINS);
    for (const value of values) {
      let bin = Math.min(BINS - 1, Math.floor((value - start) / (end - start) * BINS));
      if (value < edges[bin]) bin--;
      else if (bin < BINS - 1 && value >= edges[bin + 1]) bin++;
      counts[bin]++;
    }
    const centres = counts.map((_, i) => (edges[i] + edges[i + 1]) / 2);
    const all = sum(counts), mass = sum(counts.map((count, i) => count * centres[i]));
    let below = 0, massBelow = 0, best = -1, at = 0;
    for (let i = 0; i < BINS - 1; i++) {
      below += counts[i];
      massBelow += counts[i] * centres[i];
      const above = all - below;
      const gap = massBelow / Math.max(below, 1) - (mass - massBelow) / Math.max(above, 1);
      const between = below * above * gap * gap;
      if (between > best * (1 + 1e-12)) [best, at] = [between, i];
    }
    return edges[at + 1];
  }

  // Pieces of ink that touch, corners included: a number for each pixel, and each one's box.
  function label(mask, side, corners = true) {
    const labels = new Int32Array(mask.length), pieces = [];
    for (let start = 0; start < mask.length; start++) {
      if (!mask[start] || labels[start]) continue;
      const piece = { labels: [pieces.length + 1], area: 0, top: side, bottom: 0, left: side, right: 0 };
      const waiting = [start];
      labels[start] = pieces.length + 1;
      while (waiting.length) {
        const at = waiting.pop(), row = Math.floor(at / side), column = at % side;
        piece.area++;
        piece.top = Math.min(piece.top, row);
        piece.bottom = Math.max(piece.bottom, row + 1);
        piece.left = Math.min(piece.left, column);
        piece.right = Math.max(piece.right, column + 1);
        for (let dy = -1; dy <= 1; dy++) {
          for (let dx = -1; dx <= 1; dx++) {
            if (!corners && dx && dy) continue;
            const y = row + dy, x = column + dx, next = y * side + x;
            if (y < 0 || y >= side || x < 0 || x >= side || !mask[next] || labels[next]) continue;
            labels[next] = pieces.length + 1;
            waiting.push(next);
          }
        }
      }
      pieces.push(piece);
    }
    return { labels, pieces };
  }

  const height = (shape) => shape.bottom - shape.top;
  const width = (shape) => shape.right - shape.left;

  // Pieces joined where they make one digit, without specks.
  function joinedShapes(all) {
    const largest = Math.max(...all.map((piece) => piece.area));
    const pieces = all.filter((piece) => piece.area >= 0.02 * largest);
    if (pieces.length > 30) throw new Refusal(`there are ${pieces.length} separate shapes: noise, or a text`);
    const shapes = join(pieces);
    const tallest = Math.max(...shapes.map((shape) => Math.max(height(shape), width(shape))));
    if (tallest < SMALLEST) throw new Refusal(`the largest shape has ${tallest} pixels: too small for a digit`);
    return shapes.filter((shape) => Math.max(height(shape), width(shape)) >= 0.3 * tallest);
  }

  function join(pieces) {
    const shapes = [...pieces].sort((one, other) => other.area - one.area);
    for (let i = 0; i < shapes.length; i++) {
      for (let j = i + 1; j < shapes.length; j++) {
        if (!belongTogether(shapes[i], shapes[j])) continue;
        const [one, other] = [shapes[i], shapes[j]];
        const both = {
          labels: [...one.labels, ...other.labels], area: one.area + other.area,
          top: Math.min(one.top, other.top), bottom: Math.max(one.bottom, other.bottom),
          left: Math.min(one.left, other.left), right: Math.max(one.right, other.right),
        };
        return join([both, ...shapes.filter((shape) => shape !== one && shape !== other)]);
      }
    }
    return shapes;
  }

  // Whether two pieces lie over each other and close; digits in a row lie side by side.
  function belongTogether(one, other) {
    const overlap = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    const gap = Math.max(one.top, other.top) - Math.min(one.bottom, other.bottom);
    const size = Math.max(height(one), width(one), height(other), width(other));
    // Two that are about as tall are two digits, one above the other, unless a stroke broke.
    const alike = Math.min(height(one), height(other)) > 0.5 * Math.max(height(one), height(other));
    return overlap > 0.4 * Math.min(width(one), width(other)) && gap < (alike ? 0.08 : 0.25) * size;
  }

  function checkForm(digit, side, shape) {
    if (width(shape) > WIDEST * height(shape)) {
      throw new Refusal("the shape is wider than any digit: a word, or a line");
    }
    const rows = height(shape) + 2, columns = width(shape) + 2, size = Math.max(rows, columns);
    const outside = new Uint8Array(size * size);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const y = shape.top + row - 1, x = shape.left + column - 1;
        const inked = y >= shape.top && y < shape.bottom && x >= shape.left && x < shape.right
          && digit[y * side + x];
        outside[row * size + column] = inked ? 0 : 1;
      }
    }
    const holes = label(outside, size, false).pieces.slice(1)
      .filter((piece) => piece.area > 0.002 * rows * columns).length;
    if (holes > MOST_HOLES) {
      throw new Refusal(`the shape has ${holes} holes, more than any digit: text, or noise`);
    }
    if (2 * deepest(outside, size, rows, columns) > THICKEST * Math.max(height(shape), width(shape))) {
      throw new Refusal("the shape is one blot, without strokes");
    }
  }

  // How far from what is outside the farthest ink lies: exact distances, first along columns.
  function deepest(outside, size, rows, columns) {
    const down = new Float64Array(rows * columns);
    for (let column = 0; column < columns; column++) {
      let far = Infinity;
      for (let row = 0; row < rows; row++) {
        far = outside[row * size + column] ? 0 : far + 1;
        down[row * columns + column] = far;
      }
      for (let row = rows - 1; row >= 0; row--) {
        far = outside[row * size + column] ? 0 : far + 1;
        down[row * columns + column] = Math.min(down[row * columns + column], far);
      }
    }
    let deepestYet = 0;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let nearest = down[row * columns + column] ** 2;
        for (let step = 1; step * step < nearest; step++) {
          for (const x of [column - step, column + step]) {
            if (x < 0 || x >= columns) continue;
            nearest = Math.min(nearest, step * step + down[row * columns + x] ** 2);
          }
        }
        deepestYet = Math.max(deepestYet, nearest);
      }
    }
    return Math.sqrt(deepestYet);
  }

  // --- MNIST's form: photo._as_in_mnist and utils/centring.py ------------------------

  function asInMnist(ink, mask, side) {
    const level = quantile(ink.filter((_, i) => mask[i]), 0.7);
    const floor = Math.min(0.5 * level, 0.2 * level);
    const near = dilated(dilated(mask, side), side);
    const values = ink.map((value, i) => (near[i] ? clip((value - floor) / (level - floor)) : 0));
    const rows = [], columns = [];
    for (let i = 0; i < side; i++) {
      let row = 0, column = 0;
      for (let j = 0; j < side; j++) {
        row = Math.max(row, values[i * side + j]);
        column = Math.max(column, values[j * side + i]);
      }
      if (row > 0.1) rows.push(i);
      if (column > 0.1) columns.push(i);
    }
    const cut = (from) => image(rows.at(-1) - rows[0] + 1, columns.at(-1) - columns[0] + 1,
      (row, column) => from[(row + rows[0]) * side + column + columns[0]]);
    return centred(scaled(thickened(cut(values), cut(mask))));
  }

  // Strokes that would vanish when the digit is made small, made thicker.
  function thickened(digit, mask) {
    const inside = depths(mask).filter((depth) => depth > 0);
    const width = 4 * sum(inside) / inside.length; // of a straight stroke
    const longer = Math.max(digit.rows, digit.columns);
    if (width >= THIN * longer) return digit;
    const radius = Math.max(1, roundHalfEven((NORMAL * longer - width) / 2));
    return image(digit.rows + 2 * radius, digit.columns + 2 * radius, (row, column) => {
      let most = 0;
      for (let dy = -radius; dy <= radius; dy++) {
        for (let dx = -radius; dx <= radius; dx++) {
          const y = row - radius + dy, x = column - radius + dx;
          if (dx * dx + dy * dy > radius * radius) continue;
          if (y < 0 || y >= digit.rows || x < 0 || x >= digit.columns) continue;
          most = Math.max(most, digit.data[y * digit.columns + x]);
        }
      }
      return most;
    });
  }

  // How far each pixel of a mask is from the nearest that is none.
  function depths({ rows, columns, data }) {
    const along = new Float64Array(data.length); // within its column
    for (let column = 0; column < columns; column++) {
      for (let row = 0; row < rows; row++) {
        let least = Infinity;
        for (let y = 0; y < rows; y++) {
          if (!data[y * columns + column]) least = Math.min(least, Math.abs(y - row));
        }
        along[row * columns + column] = least;
      }
    }
    return along.map((_, i) => {
      const row = Math.floor(i / columns), column = i % columns;
      let least = Infinity;
      for (let x = 0; x < columns; x++) least = Math.min(least, Math.hypot(x - column, along[row * columns + x]));
      return least;
    });
  }

  function image(rows, columns, value) {
    const data = new Float64Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) data[row * columns + column] = value(row, column);
    }
    return { rows, columns, data };
  }

  const clip = (value) => Math.min(1, Math.max(0, value));

  function sum(values) {
    let total = 0;
    for (const value of values) total += value;
    return total;
  }

  function quantile(values, share) {
    const sorted = Float64Array.from(values).sort();
    const at = share * (sorted.length - 1), low = Math.floor(at), high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
  }

  function dilated(mask, side) {
    return mask.map((_, i) => {
      const row = Math.floor(i / side), column = i % side;
      for (let y = Math.max(0, row - 1); y <= Math.min(side - 1, row + 1); y++) {
        for (let x = Math.max(0, column - 1); x <= Math.min(side - 1, column + 1); x++) {
          if (mask[y * side + x]) return 1;
        }
      }
      return 0;
    });
  }

  function scaled(digit) {
    const scale = BOX / Math.max(digit.rows, digit.columns);
    const size = (length) => Math.max(1, roundHalfEven(scale * length));
    const small = resized(digit, size(digit.rows), size(digit.columns));
    const full = Math.max(quantile(small.data, 0.98), 1e-6);
    return image(small.rows, small.columns, (row, column) => clip(small.data[row * small.columns + column] / full));
  }

  // Bilinear, each new pixel the mean of all old ones under a triangle, as Pillow does it.
  function resized({ rows, columns, data }, newRows, newColumns) {
    const across = weightsOf(columns, newColumns), down = weightsOf(rows, newRows);
    const wide = image(rows, newColumns, (row, column) => {
      const { start, weights } = across[column];
      return Math.fround(weights.reduce((total, weight, k) => total + weight * Math.fround(data[row * columns + start + k]), 0));
    });
    return image(newRows, newColumns, (row, column) => {
      const { start, weights } = down[row];
      return Math.fround(weights.reduce((total, weight, k) => total + weight * wide.data[(start + k) * newColumns + column], 0));
    });
  }

  function weightsOf(length, newLength) {
    const scale = length / newLength, support = Math.max(scale, 1);
    return Array.from({ length: newLength }, (_, i) => {
      const centre = (i + 0.5) * scale;
      const start = Math.max(0, Math.trunc(centre - support + 0.5));
      const end = Math.min(length, Math.trunc(centre + support + 0.5));
      const weights = [];
      for (let k = start; k < end; k++) weights.push(Math.max(0, 1 - Math.abs((k - centre + 0.5) / support)));
      const total = sum(weights);
      return { start, weights: weights.map((weight) => weight / total) };
    });
  }

  // The centre of mass to the middle, as far as the picture reaches.
  function centred({ rows, columns, data }) {
    const total = sum(data);
    let massRow = 0, massColumn = 0;
    data.forEach((value, i) => {
      massRow += value * Math.floor(i / columns);
      massColumn += value * (i % columns);
    });
    const start = (mass, length) => Math.min(SIDE - length, Math.max(0, Math.round(MIDDLE - mass / total - TIE)));
    const top = start(massRow, rows), left = start(massColumn, columns);
    const picture = new Float32Array(SIDE * SIDE);
    data.forEach((value, i) => { picture[(top + Math.floor(i / columns)) * SIDE + left + i % columns] = value; });
    return picture;
  }

  // --- the network: models.CompactCNN ------------------------------------------------

  function decode(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  }

  const layers = network.layers.map((layer) => ({
    ...layer, weight: decode(layer.weight), scale: decode(layer.scale), shift: decode(layer.shift),
  }));
  const last = { weight: decode(network.last.weight), bias: decode(network.last.bias) };

  // 3 x 3, no padding: channels x side x side to layer.channels x (side - 2) x (side - 2).
  function convolve(input, side, layer) {
    const out = side - 2, output = new Float32Array(layer.channels * out * out);
    for (let channel = 0; channel < layer.channels; channel++) {
      const to = output.subarray(channel * out * out, (channel + 1) * out * out);
      for (let source = 0; source < layer.inputs; source++) {
        const from = source * side * side, at = (channel * layer.inputs + source) * 9;
        const w = layer.weight.subarray(at, at + 9);
        for (let row = 0; row < out; row++) {
          for (let column = 0; column < out; column++) {
            const p = from + row * side + column, q = p + side, r = q + side;
            to[row * out + column] += w[0] * input[p] + w[1] * input[p + 1] + w[2] * input[p + 2]
              + w[3] * input[q] + w[4] * input[q + 1] + w[5] * input[q + 2]
              + w[6] * input[r] + w[7] * input[r + 1] + w[8] * input[r + 2];
          }
        }
      }
    }
    return output;
  }

  function pool(input, side, channels) {
    const out = side / 2, output = new Float32Array(channels * out * out);
    for (let channel = 0; channel < channels; channel++) {
      for (let row = 0; row < out; row++) {
        for (let column = 0; column < out; column++) {
          const p = channel * side * side + 2 * row * side + 2 * column;
          output[(channel * out + row) * out + column] =
            Math.max(input[p], input[p + 1], input[p + side], input[p + side + 1]);
        }
      }
    }
    return output;
  }

  // Probabilities of the ten classes, and the maps behind each layer.
  function predict(picture) {
    let values = picture, side = SIDE;
    const maps = [];
    for (const layer of layers) {
      values = convolve(values, side, layer);
      side -= 2;
      if (layer.pooled) {
        values = pool(values, side, layer.channels);
        side /= 2;
      }
      const area = side * side;
      values = values.map((value, i) => {
        const channel = Math.floor(i / area);
        return Math.max(0, value * layer.scale[channel] + layer.shift[channel]);
      });
      maps.push({ side, channels: layer.channels, values });
    }
    const logits = Array.from(last.bias, (bias, c) => {
      let total = bias;
      for (let i = 0; i < values.length; i++) total += last.weight[c * values.length + i] * values[i];
      return total;
    });
    const most = Math.max(...logits), shares = logits.map((logit) => Math.exp(logit - most));
    const all = sum(shares);
    return { probabilities: shares.map((share) => share / all), maps };
  }

  // --- an answer, as canvas.py gives it ----------------------------------------------

  function answer(strokes, pen = PEN) {
    const none = { picture: [], probabilities: [], maps: [] };
    if (!strokes.length) return { ...none, kind: "empty", words: "Nothing is drawn yet: write a digit from 0 to 9." };
    try {
      const picture = findDigit(drawStrokes(strokes, pen));
      const { probabilities, maps } = predict(picture);
      const shades = Array.from(picture, (value) => Math.round(255 * value));
      return { kind: "answer", words: inWords(probabilities), picture: shades, probabilities, maps };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { ...none, kind: "refusal", words: error.message };
    }
  }

  function inWords(probabilities) {
    const most = Math.max(...probabilities), digit = probabilities.indexOf(most);
    const share = `${(100 * most).toFixed(1)}%`;
    if (most < network.least) return `no digit that I know; nearest to a ${digit} (${share})`;
    return most > 0.5 ? `${digit} (${share})` : `unsure, perhaps ${digit} (${share})`;
  }

  return { answer, drawStrokes, findDigit, predict };
}
