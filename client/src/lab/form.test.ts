import { expect, test } from 'vitest';
import { cachedBody, failBody, formProblem, NEW_FAULT, newForm, runBody } from './form';

const form = newForm(30);

test('the body names each size after its database', () => {
  const chosen = { ...form, sizes: { sql: 1, sqlrep: 2, spanner: 3 }, intensity: 2 } as const;
  expect(runBody(chosen)).toEqual({
    read_pattern: 1,
    write_pattern: 1,
    intensity: 2,
    sql_size: 1,
    sql_rep_size: 2,
    spanner_size: 3,
    seconds: 30,
    mode: 'together',
  });
});

test('a fault is sent with numbers', () => {
  const body = runBody({ ...form, fault: { ...NEW_FAULT, target: 'spanner-2', at: '4' } });
  expect(body).toMatchObject({
    faults: [{ target: 'spanner-2', action: 'pause', at: 4, seconds: 3 }],
  });
});

test('the failing run takes only the patterns', () => {
  const chosen = { ...form, readPattern: 2, writePattern: 3 } as const;
  expect(failBody(chosen)).toEqual({ read_pattern: 2, write_pattern: 3 });
});

test('the cached run takes the same choice without its length', () => {
  expect(cachedBody(form)).toEqual({
    mode: 'run',
    read_pattern: 1,
    write_pattern: 1,
    intensity: 1,
    sql_size: 1,
    sql_rep_size: 1,
    spanner_size: 1,
  });
});

test.each(['', '4', '601', '7.5', '1e2', 'ten'])('%j seconds are refused', (seconds) => {
  expect(formProblem({ ...form, seconds })).toBe('Seconds must be a whole number of 5 to 600.');
});

test.each(['5', '600', ' 30 '])('%j seconds are taken', (seconds) => {
  expect(formProblem({ ...form, seconds })).toBeNull();
});

test('a fault must begin within the run and last', () => {
  const at = { ...form, fault: { ...NEW_FAULT, at: '30' } };
  expect(formProblem(at)).toBe('The fault must begin in a second of 0 to 29.');
  const lasting = { ...form, fault: { ...NEW_FAULT, seconds: '0' } };
  expect(formProblem(lasting)).toBe('The fault must last a whole number of seconds.');
  expect(formProblem({ ...form, fault: { ...NEW_FAULT, at: '29' } })).toBeNull();
});
