import { expect, test } from 'vitest';
import { job, side, window } from './fixtures';
import { notices, sharingNote } from './verdict';

test('a database that failed is named with the cause', () => {
  const [notice] = notices(job({ state: 'failed', why: 'connection refused' }), []);
  expect(notice).toMatchObject({ title: 'Single SQL failed', text: 'connection refused' });
});

test('a run that is not valid says why, and not to use it', () => {
  const invalid = job({ state: 'finished', valid: false, why: 'The machine was suspended.' });
  const [notice] = notices(invalid, []);
  expect(notice?.title).toBe('Single SQL: not a valid measurement');
  expect(notice?.text).toBe('The machine was suspended. Do not use these numbers.');
});

test('a running job that is not judged yet is not called invalid', () => {
  expect(notices(job({ valid: false }), [])).toEqual([]);
});

test('failures are counted by cause, with what was not sent', () => {
  const write = side({
    ok: 60,
    failed: 30,
    unsent: 10,
    failurePercent: 40,
    errors: { sold_out: 30 },
  });
  const [notice] = notices(job(), [window(0, { write })]);
  expect(notice?.title).toBe('Single SQL did not keep up');
  expect(notice?.text).toBe('Writes: 40 % failed or were not sent (30 sold out, 10 not sent).');
});

test('a run without failures needs no notice', () => {
  expect(notices(job({ state: 'finished' }), [window(0)])).toEqual([]);
});

const elsewhere = { name: 'Cassandra', standIn: false, sharedMachine: false };

test('databases on one machine are said to share it', () => {
  expect(sharingNote([job(), job({ target: 'sqlrep' })])).toMatch(
    /^All of these databases share one machine.*choose “In turns”/,
  );
  expect(sharingNote([job(), job(), job({ database: elsewhere })])).toMatch(/^2 of these/);
  expect(sharingNote([job({ mode: 'in_turns' })])).toMatch(/loaded in turns/);
});

test('databases elsewhere share nothing', () => {
  expect(sharingNote([job({ database: elsewhere })])).toBeNull();
});
