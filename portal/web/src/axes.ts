// Where a chart's axes begin and end, as the server wrote them on its drawing, and the arithmetic between a finger's
// place and a reading. Pure: no document in here.

/** The plot's rectangle in drawing units, and what its edges mean. */
export interface Axes {
  left: number;
  right: number;
  top: number;
  bottom: number;
  /** Milliseconds since 1970 at the left and right edges. */
  from: number;
  to: number;
  /** Values at the bottom and top edges. */
  low: number;
  high: number;
}

/** One reading of the series. */
export interface Reading {
  at: number;
  value: number;
  /** QARTOD: 1 good, 2 not evaluated, 3 suspect, 4 bad. */
  flag: number;
}

/** The axes of a drawing; `undefined` where one of the numbers is missing. */
export function readAxes(attribute: (name: string) => string | undefined): Axes | undefined {
  const names = ["left", "right", "top", "bottom", "from", "to", "low", "high"] as const;
  const numbers: Partial<Record<(typeof names)[number], number>> = {};
  for (const name of names) {
    const text = attribute(name);
    const number = text === undefined || text === "" ? NaN : Number(text);
    if (!Number.isFinite(number)) return undefined;
    numbers[name] = number;
  }
  return numbers as Axes;
}

/** The instant at a place of the drawing, kept inside the plot. */
export function timeAt(axes: Axes, x: number): number {
  const part = (x - axes.left) / (axes.right - axes.left);
  return axes.from + Math.min(1, Math.max(0, part)) * (axes.to - axes.from);
}

/** The place of an instant. */
export function xOf(axes: Axes, at: number): number {
  return axes.left + ((at - axes.from) / (axes.to - axes.from)) * (axes.right - axes.left);
}

/** The place of a value, kept inside the plot. */
export function yOf(axes: Axes, value: number): number {
  const part = (value - axes.low) / (axes.high - axes.low);
  return axes.bottom + Math.min(1, Math.max(0, part)) * (axes.top - axes.bottom);
}

/** The reading nearest in time; readings are sorted, oldest first. */
export function nearest(readings: readonly Reading[], at: number): Reading | undefined {
  let low = 0;
  let high = readings.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((readings[middle]?.at ?? Infinity) < at) low = middle + 1;
    else high = middle;
  }
  const after = readings[low];
  const before = readings[low - 1];
  if (after === undefined || before === undefined) return after ?? before;
  return at - before.at <= after.at - at ? before : after;
}

/** May the line be drawn through it? */
export function trusted(reading: Reading): boolean {
  return reading.flag === 1 || reading.flag === 2;
}

/** The path through trusted readings inside the plot, lifted over gaps: the same line as the server's. */
export function linePath(axes: Axes, readings: readonly Reading[], gapMs: number): string {
  let path = "";
  let last: number | undefined;
  let alone = false;
  for (const reading of readings) {
    if (!trusted(reading) || reading.at < axes.from || axes.to < reading.at) continue;
    const lift = last === undefined || gapMs < reading.at - last;
    if (lift && alone) path += "h0";
    path += `${lift ? "M" : "L"}${xOf(axes, reading.at).toFixed(1)} ${yOf(axes, reading.value).toFixed(1)}`;
    alone = lift;
    last = reading.at;
  }
  return alone ? `${path}h0` : path;
}

/** Adds a reading in its place; one of the same instant replaces the older, as in the store. */
export function withReading(readings: readonly Reading[], added: Reading): Reading[] {
  const others = readings.filter((reading) => reading.at !== added.at);
  const place = others.findIndex((reading) => added.at < reading.at);
  others.splice(place < 0 ? others.length : place, 0, added);
  return others;
}
