const NUMBER = new Intl.NumberFormat('en-US');

export function formatNumber(value: number): string {
  return NUMBER.format(value);
}

/** A count with its noun: `1 game`, `1,204 games`. */
export function plural(count: number, singular: string, many = `${singular}s`): string {
  return `${formatNumber(count)} ${count === 1 ? singular : many}`;
}

/** The date part of a stored timestamp such as `2016-02-26T00:00:00.000Z`. */
export function formatDate(date: string): string {
  return date.slice(0, 10);
}
