import { plural } from '../ui/format';

export function credits(amount: number): string {
  return plural(amount, 'credit');
}

export function games(count: number): string {
  return plural(count, 'game');
}

export function totalQuantity(lines: readonly { quantity: number }[]): number {
  return lines.reduce((sum, { quantity }) => sum + quantity, 0);
}
