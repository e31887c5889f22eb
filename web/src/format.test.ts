import { describe, expect, test } from 'vitest';
import { ago, bytes, clock, count, duration, instant, isWatermark, none, plural, rate, share, watermark } from './format';

describe('numbers', () => {
  test.each([[0, '0'], [999, '999'], [1204, '1,204'], [34_276_904_399, '34,276,904,399'], [-1, none], [undefined, none], [Number.NaN, none]])(
    'count %s is %s', (n, text) => expect(count(n)).toBe(text));
  test.each([[0, '0/s'], [0.4, '0.4/s'], [9.94, '9.9/s'], [9.96, '10/s'], [412_000.6, '412,001/s'], [undefined, none], [Number.NaN, none]])(
    'rate %s is %s', (n, text) => expect(rate(n)).toBe(text));
  test.each([
    [0, '0 B'], [1023, '1,023 B'], [1024, '1.0 KiB'], [102_348, '99.9 KiB'], [102_400, '100 KiB'], [1_048_575, '1.0 MiB'],
    [25_276_510_208, '23.5 GiB'], [-1, none], [undefined, none],
  ])('bytes %s is %s', (n, text) => expect(bytes(n)).toBe(text));
  test('share is of the second and never above it', () => {
    expect([share(0), share(154), share(1000), share(1003), share(undefined)]).toEqual(['0%', '15%', '100%', '100%', none]);
  });
  test('plural', () => expect([plural(1, 'row'), plural(0, 'row'), plural(1200, 'row')]).toEqual(['1 row', '0 rows', '1,200 rows']));
});

describe('times', () => {
  test.each([
    [-1, none], [0, '0 ms'], [350, '350 ms'], [1000, '1 s'], [59_999, '59 s'], [60_000, '1 m 00 s'], [754_000, '12 m 34 s'],
    [3_600_000, '1 h 00 m'], [86_399_999, '23 h 59 m'], [86_400_000, '1 d 00 h'], [270_000_000, '3 d 03 h'],
  ])('duration %s is %s', (ms, text) => expect(duration(ms)).toBe(text));
  test('an instant says its zone, and "not yet" is no time', () => {
    expect(instant(1_741_089_344_000)).toBe('2025-03-04 11:55:44 UTC');
    expect([instant(-1), instant(0), instant(undefined), instant(9.2e18)]).toEqual([none, none, none, none]);
  });
  test('clock', () => expect(clock(1_741_089_344_999)).toBe('11:55:44 UTC'));
  test('ago stands still within a second and never lies in the future', () => {
    expect([ago(5000, 5900), ago(5000, 7100), ago(9000, 5000), ago(0, 5000)]).toEqual(['now', '2 s ago', 'now', none]);
  });
});

describe('watermarks', () => {
  test.each([
    [1_741_087_600_000, '2025-03-04 11:26:40 UTC'], [1_741_087_600_007, '2025-03-04 11:26:40.007 UTC'], [0, '1970-01-01 00:00:00 UTC'],
    [-5000, '1969-12-31 23:59:55 UTC'], [Number('-9223372036854775808'), none], [Number('9223372036854775807'), 'end of input'],
    [9e15, '9,000,000,000,000,000 ms'], [undefined, none], [Number.NaN, none],
  ])('%s is %s', (ms, text) => expect(watermark(ms)).toBe(text));
  test('the least of 64 bits is none', () => {
    expect([isWatermark(-9223372036854775808), isWatermark(-5000), isWatermark(Number('9223372036854775807'))]).toEqual([false, true, true]);
  });
});
