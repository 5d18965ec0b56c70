import assert from "node:assert/strict";
import { test } from "node:test";

import { ends, instant, local, moved } from "../src/choice.js";

const key = (name: string, shiftKey = false, ctrlKey = false) => ({ key: name, shiftKey, ctrlKey });

test("keys walk over readings and stop at the ends", () => {
  assert.deepEqual(moved(undefined, key("ArrowLeft"), 5), { anchor: 4, cursor: 4 });
  assert.deepEqual(moved({ anchor: 1, cursor: 1 }, key("ArrowRight"), 5), { anchor: 2, cursor: 2 });
  assert.deepEqual(moved({ anchor: 1, cursor: 1 }, key("ArrowLeft", false, true), 5), { anchor: 0, cursor: 0 });
  assert.equal(moved({ anchor: 1, cursor: 1 }, key("x"), 5), undefined);
  assert.equal(moved(undefined, key("End"), 0), undefined);
});

test("shift chooses from where it began", () => {
  const chosen = moved({ anchor: 3, cursor: 3 }, key("Home", true), 9);
  assert.deepEqual(chosen, { anchor: 3, cursor: 0 });
  assert.deepEqual(ends(chosen ?? { anchor: 0, cursor: 9 }), [0, 3]);
});

test("wall clocks are Vietnam's, and what is chosen to its end is in the range", () => {
  const at = Date.parse("2026-03-11T22:00:00.250Z");
  assert.equal(local(at, "from"), "2026-03-12T05:00:00");
  assert.equal(local(at, "to"), "2026-03-12T05:00:01");
  assert.equal(instant("2026-03-12T05:00:00"), Date.parse("2026-03-11T22:00:00Z"));
  assert.ok(Number.isNaN(instant("")));
});
