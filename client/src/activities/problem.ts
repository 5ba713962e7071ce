import type { ApiError } from '../api/errors';
import { JsonError, locatePointer, parseJsonText, type TextRange } from '../api/json';

/** What is wrong in a message's text, and where. */
export interface Problem extends TextRange {
  /** From 1. */
  readonly line: number;
}

/** The pointer inside the sentence that says what is wrong. */
const POINTER = /\/activities(?:\/[\w~-]+)*/;

/** Where the error of the store is in the text; null if it is about something else. */
export function findProblem(text: string, error: ApiError | null): Problem | null {
  if (error === null || error.kind !== 'refused') return null;
  try {
    const root = parseJsonText(text);
    const pointer = POINTER.exec(error.detail ?? '')?.[0];
    return pointer === undefined ? null : problem(text, locatePointer(root, pointer));
  } catch (syntax) {
    if (!(syntax instanceof JsonError)) throw syntax;
    return problem(text, { start: syntax.offset, end: syntax.offset + 1 });
  }
}

function problem(text: string, { start, end }: TextRange): Problem {
  return { start, end, line: text.slice(0, start).split('\n').length };
}
