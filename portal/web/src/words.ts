// The same words, numbers and clocks as the server's pages.

export type Lang = "vi" | "en";

/** A number with the reader's decimal mark. */
export function number(lang: Lang, value: number, decimals: number): string {
  const plain = value.toFixed(decimals).replace(/^-(?=[0.]*$)/, "").replace("-", "−");
  return lang === "vi" ? plain.replace(".", ",") : plain;
}

/** A wall clock in Vietnam, where UTC+7 holds all year: `05:10 12/3`. */
export function clock(lang: Lang, at: number): string {
  const local = new Date(at + 7 * 3_600_000);
  const two = (n: number) => String(n).padStart(2, "0");
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const [day, month] = [local.getUTCDate(), local.getUTCMonth()];
  const date = lang === "vi" ? `${day}/${month + 1}` : `${day} ${months[month] ?? ""}`;
  return `${two(local.getUTCHours())}:${two(local.getUTCMinutes())} ${date}`;
}

/** How far a number can be trusted; nothing where it can. */
export function doubt(lang: Lang, flag: number): string {
  if (flag === 3) return lang === "vi" ? " (nghi ngờ)" : " (suspect)";
  if (flag === 4) return lang === "vi" ? " (hỏng)" : " (bad)";
  return "";
}
