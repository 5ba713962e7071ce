import { QueryClientProvider } from '@tanstack/react-query';
import { cleanup, render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError } from '../api/errors';
import type { Overview } from '../api/overview';
import { newQueryClient, StoreApiProvider } from '../api/queries';
import type { StoreApi } from '../api/store';
import { GameOverview } from './GameOverview';

const GAME: Overview = {
  id: 1,
  name: 'Stardew Valley',
  description: 'A farm.',
  releaseDate: '2016-02-26T00:00:00.000Z',
  developer: 'ConcernedApe',
  publisher: 'Chucklefish',
  tags: ['Farming', 'Relaxing'],
};

const store = {
  overview: vi.fn<StoreApi['overview']>(),
  catalogue: vi.fn<StoreApi['catalogue']>(),
  image: vi.fn<StoreApi['image']>(),
  reviews: vi.fn<StoreApi['reviews']>(),
};

beforeEach(() => {
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe() {}
      disconnect() {}
    },
  );
  store.overview.mockReset().mockResolvedValue(GAME);
  store.image.mockReset().mockResolvedValue('http://store.example/banner.svg');
  store.reviews.mockReset().mockResolvedValue([
    { recommended: true, posted: Date.now() },
    { recommended: false, posted: 0 },
    { recommended: false, posted: 0 },
  ]);
});
afterEach(cleanup);

function show() {
  render(
    <QueryClientProvider client={newQueryClient()}>
      <StoreApiProvider value={store}>
        <GameOverview id={1} headingLevel={1} />
      </StoreApiProvider>
    </QueryClientProvider>,
  );
}

test('shows all data of the store', async () => {
  show();
  expect(await screen.findByRole('heading', { level: 1, name: 'Stardew Valley' })).toBeTruthy();
  for (const text of ['A farm.', '2016-02-26', 'ConcernedApe', 'Chucklefish', 'Farming']) {
    expect(screen.getByText(text)).toBeTruthy();
  }
  const banner = await screen.findByRole<HTMLImageElement>('img');
  expect(banner.src).toBe('http://store.example/banner.svg');
  expect(await screen.findByRole('button', { name: 'Overwhelmingly Positive' })).toBeTruthy();
  expect(screen.getByRole('button', { name: 'Very Negative' })).toBeTruthy();
});

test('shows a message when there are no reviews', async () => {
  store.reviews.mockResolvedValue([]);
  show();
  expect(await screen.findAllByText('No user reviews')).toHaveLength(2);
});

test('works without its upstreams, and retries the reviews on request', async () => {
  const down = new ApiError('unreachable', 'down');
  store.image.mockRejectedValue(down);
  store.reviews.mockRejectedValueOnce(down);
  show();
  expect(await screen.findByRole('img', { name: /no image/ })).toBeTruthy();
  const row = (await screen.findByText('Not available right now.')).parentElement as HTMLElement;
  await userEvent.click(within(row).getByRole('button', { name: 'Try again' }));
  expect(await screen.findByRole('button', { name: 'Very Negative' })).toBeTruthy();
});

test('a missing game shows a message and is not retried', async () => {
  store.overview.mockRejectedValue(new ApiError('missing', 'gone'));
  show();
  expect(await screen.findByRole('heading', { name: 'Game #1 not found' })).toBeTruthy();
  expect(store.overview).toHaveBeenCalledTimes(1);
});

test('a failed request can be retried, and the retry button stays until there is a response', async () => {
  store.overview.mockRejectedValueOnce(new ApiError('malformed', 'odd'));
  let resolveOverview: (game: Overview) => void = () => {};
  store.overview.mockReturnValueOnce(
    new Promise((resolve) => {
      resolveOverview = resolve;
    }),
  );
  show();
  const retry = await screen.findByRole('button', { name: 'Try again' });
  await userEvent.click(retry);
  expect(screen.getByRole('button', { name: 'Retrying…' })).toBe(retry);
  resolveOverview(GAME);
  expect(await screen.findByRole('heading', { name: 'Stardew Valley' })).toBeTruthy();
});
