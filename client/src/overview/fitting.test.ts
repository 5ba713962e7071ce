import { describe, expect, test } from 'vitest';
import { fittingCount } from './fitting';

const room = { width: 100, gap: 10, rows: 2, reserve: 20 };

describe('fittingCount', () => {
  test('all chips fit without the button', () => {
    expect(fittingCount([], room)).toBe(0);
    expect(fittingCount([45, 45, 45, 45], room)).toBe(4);
  });

  test('the button takes its room from the last row', () => {
    expect(fittingCount([45, 45, 45, 45, 45], room)).toBe(3);
    expect(fittingCount([45, 45, 30, 30, 45], room)).toBe(4);
  });

  test('a last row that cannot hold a chip and the button goes to the button', () => {
    expect(fittingCount([45, 45, 90, 45], room)).toBe(2);
  });

  test('one chip is shown however wide it is', () => {
    expect(fittingCount([300, 300, 300, 300], room)).toBe(1);
  });

  test('without a layout everything fits', () => {
    expect(fittingCount([0, 0, 0], { ...room, width: 0 })).toBe(3);
  });
});
