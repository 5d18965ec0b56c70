// What is chosen of a series, as keys and fingers change it. Pure: no document in here.

/** Places among the readings, counted from 0: where the cursor is, and where choosing began. */
export interface Choice {
  anchor: number;
  cursor: number;
}

/** How far Ctrl goes. */
const LEAP = 10;

/** The choice after a key of the chart; `undefined` where the key means nothing here. */
export function moved(
  choice: Choice | undefined,
  key: { key: string; shiftKey: boolean; ctrlKey: boolean },
  count: number,
): Choice | undefined {
  if (count === 0) return undefined;
  const last = count - 1;
  const here = choice?.cursor;
  const step = key.ctrlKey ? LEAP : 1;
  let next: number;
  switch (key.key) {
    case "ArrowLeft":
      next = here === undefined ? last : here - step;
      break;
    case "ArrowRight":
      next = here === undefined ? 0 : here + step;
      break;
    case "Home":
      next = 0;
      break;
    case "End":
      next = last;
      break;
    default:
      return undefined;
  }
  next = Math.min(last, Math.max(0, next));
  return { anchor: key.shiftKey && choice ? choice.anchor : next, cursor: next };
}

/** The first and the last chosen place. */
export function ends(choice: Choice): [number, number] {
  return [Math.min(choice.anchor, choice.cursor), Math.max(choice.anchor, choice.cursor)];
}

/** A wall clock of Vietnam as a form has it. Whole seconds: what is chosen to its end is rounded up. */
export function local(at: number, side: "from" | "to"): string {
  const seconds = side === "from" ? Math.floor(at / 1000) : Math.ceil(at / 1000);
  return new Date(seconds * 1000 + 7 * 3_600_000).toISOString().slice(0, 19);
}

/** What the form's wall clock means; `NaN` where it is none. */
export function instant(local: string): number {
  return Date.parse(`${local}Z`) - 7 * 3_600_000;
}
