import { describe, expect, test } from 'vitest';
import { JsonError, locatePointer, parseJsonText } from './json';

/** What `JSON.parse` would make of it. */
function plain(text: string): unknown {
  const value = (node: ReturnType<typeof parseJsonText>): unknown => {
    if (node.kind === 'object') {
      return Object.fromEntries(node.members.map(([name, member]) => [name, value(member)]));
    }
    if (node.kind === 'array') return node.items.map(value);
    if (node.kind === 'number') return Number(node.text);
    return node.kind === 'null' ? null : node.value;
  };
  return value(parseJsonText(text));
}

test.each([
  '{}',
  '[]',
  ' [ 1 , -0.5e+3 , "a\\n\\u00e9\\"" , true , false , null ] ',
  '{"a":{"b":[{"c":"é 😀"}]},"":0}',
])('%s is read as JSON.parse reads it', (text) => {
  expect(plain(text)).toEqual(JSON.parse(text));
});

test.each([
  ['', 0],
  ['[1,]', 3],
  ['[1 2]', 3],
  ['{"a" 1}', 5],
  ['{a:1}', 1],
  ['[01]', 2],
  ['"a\nb"', 0],
  ['[1] x', 4],
  ['[+1]', 1],
  ['[', 1],
])('%j is not JSON from offset %i on', (text, offset) => {
  expect(() => JSON.parse(text)).toThrow();
  expect(() => parseJsonText(text)).toThrow(new JsonError(offset));
});

test('a text that is nested too deeply is an error, not a crash', () => {
  expect(() => parseJsonText('['.repeat(100_000))).toThrow(JsonError);
});

test('numbers keep their digits', () => {
  expect(parseJsonText('9007199254740993')).toMatchObject({ text: '9007199254740993' });
  expect(parseJsonText('1.10')).toMatchObject({ text: '1.10' });
});

describe('a pointer', () => {
  const text = '{"a/b": [1, {"c~": "here"}], "d": 2}';
  const at = (pointer: string) => {
    const { start, end } = locatePointer(parseJsonText(text), pointer);
    return text.slice(start, end);
  };

  test.each([
    ['', text],
    ['/d', '2'],
    ['/a~1b/0', '1'],
    ['/a~1b/1/c~0', '"here"'],
  ])('%s is found', (pointer, expected) => expect(at(pointer)).toBe(expected));

  test('to a missing value leads to the nearest value around it', () => {
    expect(at('/a~1b/1/other/0')).toBe('{"c~": "here"}');
    expect(at('/none')).toBe(text);
  });
});
