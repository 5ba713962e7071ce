import { describe, expect, test } from 'vitest';
import { visibleTagCount } from './visibleTagCount';

const layout = { width: 100, gap: 10, rows: 2, buttonWidth: 20 };

describe('visibleTagCount', () => {
  test('all tags fit without the button', () => {
    expect(visibleTagCount([], layout)).toBe(0);
    expect(visibleTagCount([45, 45, 45, 45], layout)).toBe(4);
  });

  test('the button takes its width from the last row', () => {
    expect(visibleTagCount([45, 45, 45, 45, 45], layout)).toBe(3);
    expect(visibleTagCount([45, 45, 30, 30, 45], layout)).toBe(4);
  });

  test('a last row without space for both a tag and the button holds only the button', () => {
    expect(visibleTagCount([45, 45, 90, 45], layout)).toBe(2);
  });

  test('one tag is shown however wide it is', () => {
    expect(visibleTagCount([300, 300, 300, 300], layout)).toBe(1);
  });

  test('without a layout all tags are shown', () => {
    expect(visibleTagCount([0, 0, 0], { ...layout, width: 0 })).toBe(3);
  });
});
