import { describe, expect, test } from 'vitest';
import { visibleTagCount } from './visibleTagCount';

const layout = { width: 100, gap: 10, rows: 2, buttonWidth: 20 };

describe('visibleTagCount', () => {
  test('all chips fit without the button', () => {
    expect(visibleTagCount([], layout)).toBe(0);
    expect(visibleTagCount([45, 45, 45, 45], layout)).toBe(4);
  });

  test('the button takes its room from the last row', () => {
    expect(visibleTagCount([45, 45, 45, 45, 45], layout)).toBe(3);
    expect(visibleTagCount([45, 45, 30, 30, 45], layout)).toBe(4);
  });

  test('a last row that cannot hold a chip and the button goes to the button', () => {
    expect(visibleTagCount([45, 45, 90, 45], layout)).toBe(2);
  });

  test('one chip is shown however wide it is', () => {
    expect(visibleTagCount([300, 300, 300, 300], layout)).toBe(1);
  });

  test('without a layout everything fits', () => {
    expect(visibleTagCount([0, 0, 0], { ...layout, width: 0 })).toBe(3);
  });
});
