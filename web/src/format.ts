// How values are written. Times are always UTC and say so: event-time windows are cut in UTC, and a page that two
// people read in two countries should show both the same.

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en-US', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

// none stands where there is no value.
export const none = '–';

// count writes a number of things with grouped thousands; a negative one means unknown.
export function count(n: number | undefined): string {
  return n === undefined || !Number.isFinite(n) || n < 0 ? none : grouped.format(n);
}

// rate writes a number per second; below ten, tenths matter.
export function rate(perSecond: number | undefined): string {
  if (perSecond === undefined || !Number.isFinite(perSecond)) return none;
  const text = perSecond > 0 && perSecond < 9.95 ? tenths.format(perSecond) : grouped.format(perSecond);
  return `${text}/s`;
}

// bytes writes a size in binary units.
export function bytes(n: number | undefined): string {
  if (n === undefined || !Number.isFinite(n) || n < 0) return none;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  let value = n;
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 || value >= 99.95 ? `${grouped.format(value)} ${units[unit]}` : `${tenths.format(value)} ${units[unit]}`;
}

const two = (n: number) => String(n).padStart(2, '0');

// duration writes ms in its two largest units: "350 ms", "12 s", "2 m 05 s", "3 h 04 m", "2 d 03 h".
export function duration(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) return none;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m ${two(s % 60)} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} m`;
  return `${Math.floor(s / 86_400)} d ${two(Math.floor((s % 86_400) / 3600))} h`;
}

// ago writes how long before now a time was.
export function ago(time: number, now: number): string {
  return time <= 0 ? none : `${duration(Math.max(0, Math.floor((now - time) / 1000) * 1000))} ago`.replace(/^0 ms ago$/, 'now');
}

const maxDate = 8.64e15; // the last ms that a Date can hold

// instant writes "2025-03-04 11:55:44 UTC", for times on the wall clock and event times alike.
export function instant(ms: number | undefined): string {
  if (ms === undefined || ms <= 0 || ms > maxDate) return none;
  return `${isoSeconds(ms)} UTC`;
}

function isoSeconds(ms: number): string {
  return new Date(ms).toISOString().slice(0, ms < 253_402_300_800_000 ? 19 : 22).replace('T', ' ');
}

// clock writes the time of day alone: "11:55:44 UTC".
export function clock(ms: number): string {
  return `${new Date(ms).toISOString().slice(11, 19)} UTC`;
}

// The ends of 64 bits are no times: Flink's "none yet" and "end of input". As doubles they are rounded.
const noWatermark = -9.2e18;
const endWatermark = 9.2e18;

// watermark writes an event-time watermark. Unlike instant it allows times before 1970.
export function watermark(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms) || ms <= noWatermark) return none;
  if (ms >= endWatermark) return 'end of input';
  if (Math.abs(ms) > maxDate) return `${grouped.format(ms)} ms`;
  const iso = new Date(ms).toISOString().replace('T', ' ').replace('Z', '');
  return `${iso.endsWith('.000') ? iso.slice(0, -4) : iso} UTC`;
}

// isWatermark tells a real watermark (or the end of input) from none.
export function isWatermark(ms: number): boolean {
  return Number.isFinite(ms) && ms > noWatermark;
}

// share writes ms per second as a percentage of the time.
export function share(msPerSecond: number | undefined): string {
  return msPerSecond === undefined || !Number.isFinite(msPerSecond) ? none : `${Math.round(Math.min(1000, msPerSecond) / 10)}%`;
}

// plural writes a count and its noun.
export function plural(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
}
