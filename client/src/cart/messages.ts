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
    text: 'The store has begun anew since your last visit: your cart, credit and orders of then are gone. Sorry! A fresh cart is ready.',
    tone: 'plain',
  },
  cartLost: {
    text: 'The store no longer has your last cart. A fresh one is ready.',
    tone: 'plain',
  },
  alreadyPaid: { text: 'Your order is paid. It is among your orders.', tone: 'good', toCart: true },
  paidInOtherTab: {
    text: 'Your order was paid in another tab. It is among your orders.',
    tone: 'good',
    toCart: true,
  },
};

const ERROR_TEXTS: Record<ErrorKind, string> = {
  unreachable: 'The store cannot be reached at the moment.',
  missing: 'The store does not know this.',
  refused: 'The store did not take this.',
  failed: 'The store is out of order at the moment.',
  malformed: 'The store gave an answer that this page cannot use.',
};

/** Why an operation failed, in one or two sentences. */
export function explainError(error: unknown): string {
  if (error instanceof Refusal) {
    if (error.reason === 'notForSale') return 'This game is no longer for sale.';
    return 'Your cart has changed meanwhile, perhaps in another tab. Please look at it again.';
  }
  return ERROR_TEXTS[errorKind(error)];
}

export function added(name: string): Message {
  return { text: `${name} is in your cart.`, tone: 'good', toCart: true };
}

export function notAdded(name: string, error: unknown): Message {
  const end = errorKind(error) === 'unreachable' ? ' Please try again.' : '';
  return { text: `${name} is not in your cart. ${explainError(error)}${end}`, tone: 'bad' };
}
