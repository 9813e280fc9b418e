// The arithmetic of charts: round axes, and lines with gaps where nothing is known. Pure.

const GAP_MAX_S = 15;
const TICKS = 4;

/** Return the top of an axis that holds `most`, and its ticks: 0 and some multiples of 1, 2 or 5 times a power of ten. */
export function axis(most) {
  const raw = most / TICKS;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
  const count = Math.max(1, Math.ceil(most / step - 1e-9));
  return { top: count * step, ticks: Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12))) };
}

/** Return the paths of value `i` of `points`: the line, and the area between it and `bottom`. Nulls are gaps, and zeros of what is rare. */
export function linePath(points, i, isRare, x, y, bottom) {
  const pieces = [];
  let piece = null;
  let before = -Infinity;
  for (const point of points) {
    const value = point.values[i];
    const isThere = value !== null && value !== undefined && !(isRare && value === 0);
    if (!isThere || point.second - before > GAP_MAX_S) piece = null;
    if (!isThere) continue;
    if (!piece) pieces.push((piece = []));
    piece.push([x(point.second).toFixed(1), y(value).toFixed(1)]);
    before = point.second;
  }
  const line = pieces.map((one) => `M${one.map((at) => at.join(" ")).join("L")}${one.length === 1 ? "h0.01" : ""}`);
  const area = pieces.map(
    (one) => `M${one[0][0]} ${bottom}L${one.map((at) => at.join(" ")).join("L")}L${one.at(-1)[0]} ${bottom}Z`,
  );
  return { line: line.join(""), area: area.join("") };
}

/** Return the mean of `values(point)` over the last `seconds` before each point, so that single seconds don't flicker. */
export function smoothed(points, seconds, values) {
  return points.map((point, i) => {
    let count = 0;
    const sums = values(point).map(() => 0);
    for (let j = i; j >= 0 && point.second - points[j].second < seconds; j -= 1) {
      values(points[j]).forEach((value, k) => (sums[k] += value));
      count += 1;
    }
    return { second: point.second, values: sums.map((sum) => sum / count) };
  });
}
