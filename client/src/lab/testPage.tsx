import { QueryClientProvider } from '@tanstack/react-query';
import { render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { vi } from 'vitest';
import { newQueryClient } from '../api/queries';
import { createLabApi } from './api';
import { LabApiProvider } from './context';
import { LabApp } from './LabApp';

/** For tests: the page at an address, on the fake lab that answers `fetch`. */
export function showLab(path: string) {
  window.scrollTo = () => {};
  window.history.replaceState(null, '', path);
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe() {}
      disconnect() {}
    },
  );
  render(
    <QueryClientProvider client={newQueryClient()}>
      <LabApiProvider value={createLabApi('http://lab.example')}>
        <LabApp />
      </LabApiProvider>
    </QueryClientProvider>,
  );
  return userEvent.setup();
}

export const button = (name: string | RegExp) => screen.findByRole('button', { name });

export const pane = (name: string) => screen.findByRole('article', { name });

/** The numbers beside a chart, as rows of text. */
export function numbers(of: HTMLElement, chart: RegExp): string[][] {
  const region = within(of).getByRole('region', { name: chart });
  return rows(within(region).getAllByRole('table')[0]);
}

export function rows(table: HTMLElement | undefined): string[][] {
  const lines = table?.querySelectorAll<HTMLTableRowElement>('tbody tr') ?? [];
  return [...lines].map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
}
