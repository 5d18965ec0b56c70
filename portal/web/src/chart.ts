// <salt-chart>: the server's drawing, answering to a finger and to the keyboard, and growing as readings arrive.
// Everything it shows is also in the page without it.

import { linePath, nearest, readAxes, timeAt, withReading, xOf, yOf, type Axes, type Reading } from "./axes.js";
import { clock, doubt, number, type Lang } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** Readings held; a year of hours. Older ones go first. */
const READINGS_MAX = 9_000;

interface Row {
  time: string;
  value?: number | null;
  mean?: number | null;
  /** Of what is added up, as rain. */
  total?: number | null;
  flag: number;
}

interface Live {
  parameter: string;
  time: string;
  value: number | null;
  unit: string;
  flag: number;
}

class SaltChart extends HTMLElement {
  #readings: Reading[] = [];
  #axes: Axes | undefined;
  #svg: SVGSVGElement | undefined;
  #hair: SVGPathElement | undefined;
  #dot: SVGCircleElement | undefined;
  #said: HTMLOutputElement | undefined;
  #chosen: Reading | undefined;
  #stop: AbortController | undefined;

  connectedCallback(): void {
    const svg = this.querySelector<SVGSVGElement>("svg.chart");
    const axes = svg ? readAxes((name) => svg.dataset[name]) : undefined;
    if (!svg || !axes) return;
    this.#svg = svg;
    this.#axes = axes;
    this.#stop = new AbortController();
    this.#prepare(svg);
    void this.#load(axes);
    if (!this.hasAttribute("every")) live(this.#attribute("station"), (event) => this.#hear(event), this.#stop.signal);
  }

  disconnectedCallback(): void {
    this.#stop?.abort();
  }

  get #lang(): Lang {
    return document.documentElement.lang === "en" ? "en" : "vi";
  }

  #attribute(name: string): string {
    return this.getAttribute(name) ?? "";
  }

  #prepare(svg: SVGSVGElement): void {
    this.#hair = svg.appendChild(document.createElementNS(SVG, "path"));
    this.#hair.setAttribute("class", "hair");
    this.#dot = svg.appendChild(document.createElementNS(SVG, "circle"));
    this.#dot.setAttribute("class", "dot");
    this.#dot.setAttribute("r", "0");
    this.#said = document.createElement("output");
    this.#said.className = "readout";
    this.#said.textContent = this.#lang === "vi" ? "Chạm vào biểu đồ để đọc số." : "Touch the chart to read it.";
    svg.before(this.#said);
    svg.setAttribute("tabindex", "0");
    const signal = this.#stop?.signal;
    const options = signal ? { signal } : {};
    svg.addEventListener("pointermove", (event) => this.#point(event), options);
    svg.addEventListener("pointerdown", (event) => this.#point(event), options);
    svg.addEventListener("keydown", (event) => this.#key(event), options);
  }

  async #load(axes: Axes): Promise<void> {
    const query = new URLSearchParams({
      parameter: this.#attribute("parameter"),
      from: new Date(axes.from).toISOString(),
      to: new Date(axes.to + 1).toISOString(),
    });
    const every = this.getAttribute("every");
    if (every) query.set("every", `${every}s`);
    const address = `/api/v1/stations/${this.#attribute("station")}/readings?${query.toString()}`;
    try {
      const answer = await fetch(address, this.#stop ? { signal: this.#stop.signal } : {});
      if (!answer.ok) return;
      const said = (await answer.json()) as { readings: Row[] };
      const half = every ? Number(every) * 500 : 0;
      for (const row of said.readings) this.#take(Date.parse(row.time) + half, row.total ?? row.mean ?? row.value, row.flag);
    } catch {
      // Without an answer the drawing stays as the server made it.
    }
  }

  #take(at: number, value: number | null | undefined, flag: number): void {
    if (value === null || value === undefined || !Number.isFinite(at)) return;
    const last = this.#readings[this.#readings.length - 1];
    const reading = { at, value, flag };
    if (last === undefined || last.at < at) this.#readings.push(reading);
    else this.#readings = withReading(this.#readings, reading);
    if (READINGS_MAX < this.#readings.length) this.#readings.shift();
  }

  #hear(event: Live): void {
    if (event.parameter !== this.#attribute("parameter") || !this.#axes || !this.#svg) return;
    const at = Date.parse(event.time);
    this.#take(at, event.value, event.flag);
    // A reading beyond the right edge widens the range only as far as the drawing can bear; then the page is old.
    if (this.#axes.to < at) this.#axes = { ...this.#axes, from: this.#axes.from + (at - this.#axes.to), to: at };
    const line = this.#svg.querySelector<SVGPathElement>("path.line");
    line?.setAttribute("d", linePath(this.#axes, this.#readings, Number(this.#attribute("gap"))));
    this.#tellNow(event);
  }

  #tellNow(event: Live): void {
    if (event.value === null) return;
    const box = document.querySelector(`[data-now="${CSS.escape(event.parameter)}"]`);
    const strong = box?.querySelector("b");
    const time = box?.querySelector("time");
    if (!strong || !time) return;
    strong.textContent = number(this.#lang, event.value, Number(this.#attribute("decimals")));
    time.dateTime = event.time;
    time.textContent = this.#lang === "vi" ? "vừa xong" : "just now";
  }

  #point(event: PointerEvent): void {
    if (!this.#axes || !this.#svg) return;
    const box = this.#svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * this.#svg.viewBox.baseVal.width;
    this.#show(nearest(this.#readings, timeAt(this.#axes, x)));
  }

  #key(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined || this.#readings.length === 0) return;
    event.preventDefault();
    const here = this.#chosen ? this.#readings.indexOf(this.#chosen) : this.#readings.length - (step < 0 ? 0 : 1);
    const next = Math.min(this.#readings.length - 1, Math.max(0, here + step));
    this.#show(this.#readings[next]);
  }

  #show(reading: Reading | undefined): void {
    if (!reading || !this.#axes || !this.#said) return;
    this.#chosen = reading;
    const x = xOf(this.#axes, reading.at).toFixed(1);
    this.#hair?.setAttribute("d", `M${x} ${this.#axes.top}V${this.#axes.bottom}`);
    this.#dot?.setAttribute("cx", x);
    this.#dot?.setAttribute("cy", yOf(this.#axes, reading.value).toFixed(1));
    this.#dot?.setAttribute("r", "3");
    const value = number(this.#lang, reading.value, Number(this.#attribute("decimals")));
    const unit = this.#attribute("unit");
    this.#said.textContent = `${clock(this.#lang, reading.at)}: ${value} ${unit}${doubt(this.#lang, reading.flag)}`;
  }
}

// All charts of a page are of one station: they share one line to the server.
let source: EventSource | undefined;
const hearers = new Set<(event: Live) => void>();

function live(station: string, hear: (event: Live) => void, signal: AbortSignal): void {
  hearers.add(hear);
  signal.addEventListener("abort", () => hearers.delete(hear));
  if (source) return;
  source = new EventSource(`/api/v1/events?station=${encodeURIComponent(station)}`);
  source.addEventListener("reading", (message: MessageEvent<string>) => {
    const event = JSON.parse(message.data) as Live;
    for (const one of hearers) one(event);
  });
  // Too much was missed: what the page shows has holes that only the server can fill.
  source.addEventListener("reset", () => location.reload());
  addEventListener("pagehide", () => source?.close());
}

customElements.define("salt-chart", SaltChart);
