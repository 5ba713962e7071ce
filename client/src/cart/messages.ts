import { Unconfirmed } from '../api/act';
import { type ErrorKind, errorKind } from '../api/errors';
import { type CartEvent, Refusal } from './operations';

/** A message to the visitor, shown at the bottom of the window. */
export interface Message {
  readonly text: string;
  readonly tone: 'good' | 'bad' | 'plain';
  /** Shows a link to the cart. */
  readonly toCart?: boolean;
}

export const EVENT_MESSAGES: Record<CartEvent | 'paidInOtherTab', Message> = {
  storeReset: {
    text: 'The store was reset since your last visit; your cart, credit and orders are gone.',
    tone: 'plain',
  },
  cartLost: {
    text: 'Your previous cart no longer exists. You have a new, empty cart.',
    tone: 'plain',
  },
  alreadyPaid: {
    text: 'Your order has already been paid. You can find it under “Your orders”.',
    tone: 'good',
    toCart: true,
  },
  paidInOtherTab: {
    text: 'Your order was paid in another tab. You can find it under “Your orders”.',
    tone: 'good',
    toCart: true,
  },
};

export const WAIT_TEXT = 'One moment: the store is not responding.';

const ERROR_TEXTS: Record<ErrorKind, string> = {
  unreachable: 'The store cannot be reached right now.',
  missing: 'The store could not find it.',
  refused: 'The store rejected the request.',
  failed: 'Something went wrong.',
  malformed: 'Something went wrong.',
};

/** Why an operation failed, in one or two sentences. */
export function explainError(error: unknown): string {
  if (error instanceof Refusal) {
    if (error.reason === 'notForSale') return 'This game is no longer for sale.';
    return 'Your cart has changed, perhaps in another tab. Please review it and try again.';
  }
  if (error instanceof Unconfirmed) {
    return 'The store is not responding, so we do not know whether this was saved.';
  }
  return ERROR_TEXTS[errorKind(error)];
}

/**
 * Why an operation did not succeed. `notDone` says so; `whether` and what to do are said instead when
 * the store may have done it.
 */
export function explainFailure(error: unknown, notDone: string, whether: string): string {
  return error instanceof Unconfirmed
    ? `The store is not responding, so we do not know whether ${whether}`
    : `${notDone} ${explainError(error)}`;
}

export function added(name: string): Message {
  return { text: `${name} was added to your cart.`, tone: 'good', toCart: true };
}

export function notAdded(name: string, error: unknown): Message {
  if (error instanceof Unconfirmed) {
    const text = `The store is not responding. ${name} may already be in your cart.`;
    return { text, tone: 'bad', toCart: true };
  }
  const end = errorKind(error) === 'unreachable' ? ' Please try again.' : '';
  return { text: `${name} was not added to your cart. ${explainError(error)}${end}`, tone: 'bad' };
}
