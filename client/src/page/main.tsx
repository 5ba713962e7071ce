import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { pageApiBase } from '../api/base';
import { newQueryClient, StoreProvider } from '../api/queries';
import { connectStore } from '../api/store';
import '../ui/tokens.css';
import '../ui/ui.css';
import '../overview/overview.css';
import '../catalogue/catalogue.css';
import './page.css';
import { App } from './App';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');

createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={newQueryClient()}>
      <StoreProvider value={connectStore(pageApiBase(document, window.location.origin))}>
        <App />
      </StoreProvider>
    </QueryClientProvider>
  </StrictMode>,
);
