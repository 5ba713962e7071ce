import { cleanup, screen, waitFor, within } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeLab, problem } from './fakeLab';
import { jobAnswer, windowAnswer } from './fixtures';
import { button, numbers, pane, rows, showLab } from './testPage';

// jsdom has no canvas; e2e draws the charts.
vi.mock('uplot', () => ({
  default: class {
    static pxRatio = 1;
    setData() {}
    setSize() {}
    destroy() {}
  },
}));

let lab: FakeLab;
beforeEach(() => {
  lab = new FakeLab();
  lab.jobs = [jobAnswer('a'), jobAnswer('b', { target: 'sqlrep' })];
});
afterEach(cleanup);

const group = (name: string) => screen.findByRole('group', { name });
const path = () => window.location.pathname;

test('a run starts with what was chosen, and is shown', async () => {
  const user = showLab('/');
  const reads = await group('Reads, per worker');
  await user.click(within(reads).getByRole('radio', { name: '50, 300, 150, 300 a second' }));
  await user.click(within(await group('Distributed')).getByRole('radio', { name: '3 copies' }));
  await user.click(screen.getByRole('radio', { name: '2 workers' }));
  await user.click(screen.getByRole('radio', { name: 'In turns' }));
  await user.clear(screen.getByLabelText(/^Seconds/));
  await user.type(screen.getByLabelText(/^Seconds/), '12');
  await user.click(await button('Start the run'));
  await waitFor(() => expect(path()).toBe('/run/a,b'));
  expect(lab.posts).toEqual([
    {
      path: '/run',
      body: {
        read_pattern: 3,
        write_pattern: 1,
        intensity: 2,
        sql_size: 1,
        sql_rep_size: 1,
        spanner_size: 3,
        seconds: 12,
        mode: 'in_turns',
      },
    },
  ]);
});

test('the offered rate follows the choices and the scale of the lab', async () => {
  const user = showLab('/');
  expect(await screen.findByText(/offered 50 reads and 50 writes a second/)).toBeTruthy();
  await user.click(screen.getByRole('radio', { name: '3 workers' }));
  expect(screen.getByText(/offered 150 reads and 150 writes a second/)).toBeTruthy();
});

test('a mistake is told before anything is sent', async () => {
  const user = showLab('/');
  await user.clear(await screen.findByLabelText(/^Seconds/));
  await user.click(await button('Start the run'));
  expect(await screen.findByText(/^Seconds must be a whole number/)).toBeTruthy();
  expect(lab.posts).toEqual([]);
});

test('when no database is free, the lab says which and until when', async () => {
  lab.overrides.set('POST /run', () =>
    problem(503, 'PostgreSQL is leased until 13:00.', { 'Retry-After': '24' }),
  );
  const user = showLab('/');
  await user.click(await button('Start the run'));
  expect(
    await screen.findByText('PostgreSQL is leased until 13:00. Try again in about 24 s.'),
  ).toBeTruthy();
  expect(path()).toBe('/');
});

test('a small database can be shown failing', async () => {
  const user = showLab('/');
  await user.click(await button('Show a small database failing'));
  await waitFor(() => expect(path()).toBe('/run/a'));
  expect(lab.posts).toEqual([{ path: '/fail', body: { read_pattern: 1, write_pattern: 1 } }]);
});

test('stand-ins are marked before a run', async () => {
  showLab('/');
  await group('Distributed');
  expect(screen.getAllByText('Stand-in')).toHaveLength(1);
  expect(screen.getByText(/a distributed database, such as Cassandra/)).toBeTruthy();
});

test('any two runs of the history can be compared', async () => {
  lab.jobs = ['one', 'two', 'three'].map((run, index) =>
    jobAnswer(run, {
      run_id: run,
      state: 'finished',
      created_at: `2026-01-0${index + 1}T03:04:05Z`,
    }),
  );
  lab.windows.set('one', [windowAnswer(0)]);
  const user = showLab('/');
  const boxes = await screen.findAllByRole('checkbox', { name: /^Compare the run of/ });
  expect(boxes).toHaveLength(3);
  for (const box of boxes) await user.click(box);
  // The first choice has made room for the third.
  expect(boxes.map((box) => (box as HTMLInputElement).checked)).toEqual([false, true, true]);
  await user.click(screen.getByRole('link', { name: 'Compare A with B' }));
  expect(path()).toBe('/compare/two/one');
  const sql = await pane('Single SQL');
  await waitFor(() =>
    expect(numbers(sql, /^Mean time/)).toEqual([
      ['A reads', '–', '–'],
      ['A writes', '–', '–'],
      ['B reads', '2.00 ms', '2.00 ms'],
      ['B writes', '4.00 ms', '4.00 ms'],
    ]),
  );
});

test('a cached run is replayed second by second, or shown at once', async () => {
  const database = { name: 'PostgreSQL 18.6', stand_in: false, shared_machine: true };
  const entry = { key: 'sql-1-1', read_pattern: 1, write_pattern: 1, seconds: 5, database };
  lab.cached = [{ ...entry, recorded_at: '2026-01-02T03:04:05Z' }];
  lab.overrides.set('GET /cached/sql-1-1/patterns/1-1/transactions', () => {
    const windows = [0, 1, 2, 3, 4].map((second) => windowAnswer(second));
    return new Response(JSON.stringify(windows));
  });
  const user = showLab('/');
  await user.click(await screen.findByRole('link', { name: 'Single SQL, small' }));
  expect(path()).toBe('/replay/sql-1-1/1-1');
  const sql = await pane('Single SQL');
  const table = () => rows(within(sql).getByRole('table', { name: /^Transactions/ }))[0];
  expect(table()).toEqual(['Offered', '0', '0']);
  await waitFor(() => expect(table()).toEqual(['Offered', '100', '100']), { timeout: 3_000 });
  await user.click(await button('All at once'));
  expect(table()).toEqual(['Offered', '500', '500']);
});

test('a choice of which nothing was kept is said plainly', async () => {
  const user = showLab('/');
  await user.click(await button('Replay the cached run'));
  expect(await screen.findByText('No cached run of this choice')).toBeTruthy();
  expect(path()).toBe('/replay/sql-1-1,sqlrep-1-1,spanner-1-1/1-1');
});

test('a lab that cannot be reached can be tried again', async () => {
  lab.overrides.set('GET /lab', () => problem(500, 'The store of the lab is broken.'));
  const user = showLab('/');
  expect(await screen.findByText('The store of the lab is broken.')).toBeTruthy();
  lab.overrides.clear();
  await user.click(await button('Try again'));
  expect(await screen.findByRole('heading', { level: 1, name: 'Database lab' })).toBeTruthy();
});
