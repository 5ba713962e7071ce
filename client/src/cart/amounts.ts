import { count } from '../overview/sentences';

export function credits(amount: number): string {
  return `${count(amount)} ${amount === 1 ? 'credit' : 'credits'}`;
}

export function games(number: number): string {
  return `${count(number)} ${number === 1 ? 'game' : 'games'}`;
}

export function totalQuantity(lines: readonly { quantity: number }[]): number {
  return lines.reduce((sum, { quantity }) => sum + quantity, 0);
}
