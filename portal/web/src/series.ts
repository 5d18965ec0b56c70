// <salt-series>: the corrections desk, by finger and by keys. Everything it does the form does without it.

import { nearest, readAxes, timeAt, xOf, type Axes, type Reading } from "./axes.js";
import { ends, instant, local, moved, type Choice } from "./choice.js";
import { clock, doubt, number, type Lang } from "./words.js";

interface Row {
  time: string;
  value?: number | null;
  flag: number;
}

/** The keys that say what to do, and the field that then wants a number. */
const ACTS: Record<string, [act: string, field: string]> = {
  o: ["offset", "by"],
  d: ["drift", "start"],
  r: ["remove", "reason"],
  i: ["interpolate", "reason"],
  a: ["approve", "reason"],
};

class SaltSeries extends HTMLElement {
  #readings: Reading[] = [];
  #choice: Choice | undefined;
  #axes: Axes | undefined;
  #stop: AbortController | undefined;
  #said: HTMLOutputElement | undefined;

  connectedCallback(): void {
    const svg = this.#svg;
    const axes = svg ? readAxes((name) => svg.dataset[name]) : undefined;
    const form = this.#form;
    if (!form) return;
    this.#stop = new AbortController();
    const options = { signal: this.#stop.signal };
    form.addEventListener("change", () => this.#fit(), options);
    document.addEventListener("keydown", (event) => this.#anywhere(event), options);
    this.#fit();
    if (!svg || !axes) return;
    this.#axes = axes;
    this.#said = document.createElement("output");
    this.#said.className = "readout";
    svg.before(this.#said);
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("keydown", (event) => this.#key(event), options);
    svg.addEventListener("pointerdown", (event) => this.#press(event), options);
    svg.addEventListener("pointermove", (event) => this.#drag(event), options);
    for (const name of ["edit_from", "edit_to"]) this.#field(name)?.addEventListener("change", () => this.#typed(), options);
    void this.#load(axes);
  }

  disconnectedCallback(): void {
    this.#stop?.abort();
  }

  get #svg(): SVGSVGElement | null {
    return this.querySelector<SVGSVGElement>("svg.series");
  }

  get #form(): HTMLFormElement | null {
    return this.querySelector<HTMLFormElement>("form.edit");
  }

  get #lang(): Lang {
    return document.documentElement.lang === "en" ? "en" : "vi";
  }

  #field(name: string): HTMLInputElement | null {
    return this.querySelector<HTMLInputElement>(`form.edit input[name="${name}"]`);
  }

  async #load(axes: Axes): Promise<void> {
    const parameter = this.getAttribute("parameter") ?? "";
    const [from, to] = [axes.from, axes.to].map((at) => new Date(at).toISOString());
    const query = new URLSearchParams({ parameter, layer: "raw", from: from ?? "", to: to ?? "" });
    try {
      const answer = await fetch(`/api/v1/stations/${this.getAttribute("station") ?? ""}/readings?${query.toString()}`);
      if (!answer.ok) return;
      const { readings } = (await answer.json()) as { readings: Row[] };
      const valued = readings.filter((row) => row.value !== null && row.value !== undefined);
      this.#readings = valued.map((row) => ({ at: Date.parse(row.time), value: row.value ?? 0, flag: row.flag }));
    } catch {
      // Without the readings the fields are typed, and fingers choose times.
    }
    this.#typed();
    this.#tell();
  }

  /** What was typed, as a choice. */
  #typed(): void {
    const [from, to] = ["edit_from", "edit_to"].map((name) => instant(this.#field(name)?.value ?? ""));
    if (from === undefined || to === undefined || !(from <= to)) return;
    const inside = this.#readings.map((reading, place) => ({ ...reading, place })).filter((it) => from <= it.at && it.at <= to + 999);
    const [first, last] = [inside[0], inside[inside.length - 1]];
    if (first && last) this.#choice = { anchor: first.place, cursor: last.place };
    this.#draw(from, to);
    this.#tell();
  }

  #choose(choice: Choice | undefined): void {
    this.#choice = choice;
    const [first, last] = choice ? ends(choice) : [undefined, undefined];
    const from = first === undefined ? undefined : this.#readings[first]?.at;
    const to = last === undefined ? undefined : this.#readings[last]?.at;
    this.#write("edit_from", from === undefined ? "" : local(from, "from"));
    this.#write("edit_to", to === undefined ? "" : local(to, "to"));
    this.#draw(from, to);
    this.#tell();
  }

  #write(name: string, value: string): void {
    const field = this.#field(name);
    if (field) field.value = value;
  }

  #draw(from: number | undefined, to: number | undefined): void {
    const box = this.#svg?.querySelector<SVGRectElement>("rect.chosen");
    if (!box || !this.#axes) return;
    const left = from === undefined ? this.#axes.left : xOf(this.#axes, Math.max(from, this.#axes.from));
    const right = to === undefined ? left : xOf(this.#axes, Math.min(to, this.#axes.to));
    box.setAttribute("x", left.toFixed(1));
    // A single reading is seen too.
    box.setAttribute("width", from === undefined ? "0" : Math.max(2, right - left).toFixed(1));
  }

  #tell(): void {
    if (!this.#said) return;
    const choice = this.#choice;
    const here = choice ? this.#readings[choice.cursor] : undefined;
    if (!choice || !here) {
      this.#said.textContent = this.#lang === "vi" ? "Kéo trên biểu đồ, hoặc Tab rồi ← →." : "Drag on the chart, or Tab and then ← →.";
      return;
    }
    const [first, last] = ends(choice);
    const value = number(this.#lang, here.value, Number(this.getAttribute("decimals") ?? "2"));
    const chosen = this.#lang === "vi" ? "số đo được chọn" : "readings chosen";
    this.#said.textContent = `${clock(this.#lang, here.at)}: ${value}${doubt(this.#lang, here.flag)} · ${last - first + 1} ${chosen}`;
  }

  #key(event: KeyboardEvent): void {
    if (event.key === "Escape") return this.#choose(undefined);
    const choice = moved(this.#choice, event, this.#readings.length);
    if (!choice) return;
    event.preventDefault();
    this.#choose(choice);
  }

  /** The reading under a finger. */
  #under(event: PointerEvent): number {
    const svg = this.#svg;
    if (!svg || !this.#axes) return -1;
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const found = nearest(this.#readings, timeAt(this.#axes, x));
    return found ? this.#readings.indexOf(found) : -1;
  }

  #press(event: PointerEvent): void {
    const place = this.#under(event);
    if (place < 0) return;
    this.#svg?.setPointerCapture(event.pointerId);
    this.#choose({ anchor: event.shiftKey && this.#choice ? this.#choice.anchor : place, cursor: place });
  }

  #drag(event: PointerEvent): void {
    if (event.buttons === 0 || !this.#choice) return;
    const place = this.#under(event);
    if (0 <= place) this.#choose({ anchor: this.#choice.anchor, cursor: place });
  }

  /** Letters mean something wherever nothing is typed. */
  #anywhere(event: KeyboardEvent): void {
    const target = event.target;
    const typing = target instanceof HTMLInputElement && target.type !== "radio";
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    const act = ACTS[key];
    if (act) this.#do(...act);
    else if (key === "t" || key === "g") this.#form?.requestSubmit(this.querySelector<HTMLButtonElement>(key === "t" ? "button.try" : "button.make"));
    else if (key === "u") document.querySelector<HTMLInputElement>("form.withdraw input[name=reason]")?.focus();
    else if (key === "?") this.querySelector("details.keys")?.toggleAttribute("open");
    else return;
    event.preventDefault();
  }

  #do(act: string, field: string): void {
    const radio = this.querySelector<HTMLInputElement>(`input[name="act"][value="${act}"]`);
    if (!radio) return;
    radio.checked = true;
    this.#fit();
    this.#field(field)?.focus();
  }

  /** Only the fields that the act has. */
  #fit(): void {
    const act = this.querySelector<HTMLInputElement>('input[name="act"]:checked')?.value;
    this.querySelector("label.by")?.toggleAttribute("hidden", act !== undefined && act !== "offset");
    for (const label of this.querySelectorAll("label.line")) label.toggleAttribute("hidden", act !== undefined && act !== "drift" && act !== "interpolate");
  }
}

customElements.define("salt-series", SaltSeries);
