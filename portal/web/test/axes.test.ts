import assert from "node:assert/strict";
import { test } from "node:test";

import { linePath, nearest, readAxes, timeAt, withReading, yOf, type Axes } from "../src/axes.js";
import { clock, doubt, number } from "../src/words.js";

const axes: Axes = { left: 0, right: 100, top: 0, bottom: 50, from: 0, to: 1000, low: 0, high: 5 };

test("a drawing without axes is left alone", () => {
  assert.equal(readAxes(() => undefined), undefined);
  assert.equal(readAxes((name) => (name === "low" ? "" : "1")), undefined);
  assert.equal(readAxes(() => "1")?.left, 1);
});

test("a finger outside the plot reads its edge", () => {
  assert.equal(timeAt(axes, -20), 0);
  assert.equal(timeAt(axes, 50), 500);
  assert.equal(timeAt(axes, 900), 1000);
  assert.equal(yOf(axes, 9), 0);
});

test("the nearest reading is found at both ends and between", () => {
  const readings = [100, 200, 900].map((at) => ({ at, value: 1, flag: 1 }));
  assert.equal(nearest([], 5), undefined);
  assert.equal(nearest(readings, 0)?.at, 100);
  assert.equal(nearest(readings, 149)?.at, 100);
  assert.equal(nearest(readings, 560)?.at, 900);
  assert.equal(nearest(readings, 5000)?.at, 900);
});

test("the line lifts over gaps and leaves bad values out", () => {
  const good = (at: number) => ({ at, value: 5, flag: 1 });
  const bad = { at: 150, value: 3, flag: 4 };
  assert.equal(linePath(axes, [good(0), good(100), bad, good(600)], 200), "M0.0 0.0L10.0 0.0M60.0 0.0h0");
  assert.equal(linePath(axes, [good(-10), good(2000)], 200), "");
});

test("the later word of the same instant wins, and a backlog finds its place", () => {
  const one = { at: 100, value: 1, flag: 1 };
  const three = { at: 300, value: 3, flag: 1 };
  const two = { at: 200, value: 2, flag: 1 };
  assert.deepEqual(withReading([one, three], two), [one, two, three]);
  const better = { at: 300, value: 4, flag: 1 };
  assert.deepEqual(withReading([one, three], better), [one, better]);
});

test("numbers and clocks are the pages'", () => {
  assert.equal(number("vi", 4.3, 2), "4,30");
  assert.equal(number("vi", -0.001, 2), "0,00");
  assert.equal(number("en", -1.2, 1), "−1.2");
  assert.equal(clock("vi", Date.parse("2026-03-11T22:05:00Z")), "05:05 12/3");
  assert.equal(clock("en", Date.parse("2026-03-11T22:05:00Z")), "05:05 12 Mar");
  assert.equal(doubt("vi", 3), " (nghi ngờ)");
  assert.equal(doubt("en", 1), "");
});
