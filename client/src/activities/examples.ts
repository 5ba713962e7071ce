/** Messages to start from. */
export interface Example {
  readonly name: string;
  /** Shown as a tooltip, and to screen readers. */
  readonly hint: string;
  readonly text: string;
}

const insert = {
  operation: 'insert',
  table: 'customers',
  col_names: ['id', 'name', 'balance', 'active'],
  col_types: ['INTEGER', 'VARCHAR(40)', 'DECIMAL(10,2)', 'BOOLEAN'],
  col_values: [1, 'Ada', '19.90', true],
};

const remove = {
  operation: 'delete',
  table: 'customers',
  value_to_delete: { col_names: ['id'], col_types: ['INTEGER'], col_values: [1] },
};

export const EXAMPLES: readonly Example[] = [
  {
    name: 'Insert',
    hint: 'A valid message that inserts a row',
    text: message(insert),
  },
  {
    name: 'Delete',
    hint: 'A valid message that deletes the rows with id 1; insert one first',
    text: message(remove),
  },
  {
    name: 'Insert and delete',
    hint: 'A valid message with two activities, which are applied together or not at all',
    text: message({ ...insert, col_values: [2, 'Grace', null, false] }, remove),
  },
  {
    name: 'Invalid',
    hint: 'Two columns but one value: it is not accepted',
    text: message({
      operation: 'insert',
      table: 'customers',
      col_names: ['id', 'name'],
      col_types: ['INTEGER', 'TEXT'],
      col_values: [3],
    }),
  },
  {
    name: 'Rejected later',
    hint: 'Valid, so it is accepted, but its table does not exist: it cannot be applied',
    text: message({
      operation: 'delete',
      table: 'no such table',
      value_to_delete: { col_names: ['id'], col_types: ['INTEGER'], col_values: [1] },
    }),
  },
];

/** Pretty-printed, with each list on one line. */
function message(...activities: object[]): string {
  return JSON.stringify({ activities }, null, 2).replace(/\[[^[\]{}]*\]/g, (list) => {
    const items = (JSON.parse(list) as unknown[]).map((item) => JSON.stringify(item));
    return `[${items.join(', ')}]`;
  });
}
