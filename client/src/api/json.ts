import { ApiError } from './errors';

/**
 * A JSON parser for what `JSON.parse` loses: the digits of numbers beyond 2^53, and where in the text a
 * value is.
 */

export type JsonNode = { readonly start: number; readonly end: number } & (
  | { readonly kind: 'object'; readonly members: readonly (readonly [string, JsonNode])[] }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | { readonly kind: 'string'; readonly value: string }
  /** `text`: the digits as they are written. */
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'null' }
);

/** A part of a text, as for `setSelectionRange`. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

/** The text is not JSON from this offset on. */
export class JsonError extends ApiError {
  readonly offset: number;

  constructor(offset: number) {
    super('malformed', `not JSON at offset ${offset}`);
    this.offset = offset;
  }
}

/** Deeper texts are refused, because the parser recurses. */
const MAX_DEPTH = 200;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them inside strings
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORD = /true|false|null/y;

/** Throws a JsonError. */
export function parseJsonText(text: string): JsonNode {
  const parser = new Parser(text);
  const root = parser.value(0);
  parser.end();
  return root;
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): JsonNode {
    this.#skipSpace();
    if (depth > MAX_DEPTH) throw new JsonError(this.#at);
    const start = this.#at;
    const first = this.#text[start];
    const node = first === '{' ? this.#object(depth) : first === '[' ? this.#array(depth) : null;
    return { ...(node ?? this.#scalar()), start, end: this.#at } as JsonNode;
  }

  end(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) throw new JsonError(this.#at);
  }

  #object(depth: number) {
    const members: (readonly [string, JsonNode])[] = [];
    this.#list('}', () => {
      const name = this.#string();
      this.#skipSpace();
      if (!this.#take(':')) throw new JsonError(this.#at);
      members.push([name, this.value(depth + 1)]);
    });
    return { kind: 'object', members };
  }

  #array(depth: number) {
    const items: JsonNode[] = [];
    this.#list(']', () => items.push(this.value(depth + 1)));
    return { kind: 'array', items };
  }

  /** Calls `element` for each element between the bracket at the current position and `close`. */
  #list(close: string, element: () => void): void {
    this.#at += 1;
    this.#skipSpace();
    if (this.#take(close)) return;
    do {
      this.#skipSpace();
      element();
      this.#skipSpace();
    } while (this.#take(','));
    if (!this.#take(close)) throw new JsonError(this.#at);
  }

  #scalar() {
    if (this.#text[this.#at] === '"') return { kind: 'string', value: this.#string() };
    const word = this.#match(WORD);
    if (word === 'null') return { kind: 'null' };
    if (word !== null) return { kind: 'boolean', value: word === 'true' };
    const text = this.#match(NUMBER);
    if (text === null) throw new JsonError(this.#at);
    return { kind: 'number', text };
  }

  #string(): string {
    const quoted = this.#match(STRING);
    if (quoted === null) throw new JsonError(this.#at);
    return JSON.parse(quoted) as string;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? null;
    this.#at += found?.length ?? 0;
    return found;
  }

  #take(character: string): boolean {
    const found = this.#text[this.#at] === character;
    if (found) this.#at += 1;
    return found;
  }

  #skipSpace(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#at += 1;
  }
}

/** Where the value of a JSON pointer (RFC 6901) is, or the nearest value around it that exists. */
export function locatePointer(root: JsonNode, pointer: string): TextRange {
  let node = root;
  for (const token of pointer.split('/').slice(1)) {
    const child = childOf(node, token.replaceAll('~1', '/').replaceAll('~0', '~'));
    if (child === undefined) break;
    node = child;
  }
  return { start: node.start, end: node.end };
}

function childOf(node: JsonNode, token: string): JsonNode | undefined {
  if (node.kind === 'array') return node.items[Number(token)];
  if (node.kind !== 'object') return undefined;
  return node.members.findLast(([name]) => name === token)?.[1];
}
