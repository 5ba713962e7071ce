import { Fragment } from 'react';

/** Names in backticks, and JSON pointers into a message. */
const CODE = /`([^`]+)`|(\/activities(?:\/[\w~-]+)+)/;

/** A sentence of the store, with names and pointers in it set as code. */
export function Sentence({ text }: { text: string }) {
  // Splitting by a pattern with two groups gives: text, name, pointer, text, ...
  const parts = text.split(CODE);
  return parts.map((part, index) =>
    part === undefined ? null : (
      <Fragment key={index}>{index % 3 === 0 ? part : <code>{part}</code>}</Fragment>
    ),
  );
}
