import { expect, test } from 'vitest';
import { remToPx } from './styles';

test('lengths do not depend on the host page’s root font size', () => {
  expect(remToPx('a{margin:0 1.25rem .5rem;gap:2rem}b{width:1remote}')).toBe(
    'a{margin:0 20px 8px;gap:32px}b{width:1remote}',
  );
});
