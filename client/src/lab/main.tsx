import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { newQueryClient } from '../api/queries';
import '../ui/tokens.css';
import '../ui/ui.css';
import '../page/page.css';
import './theme.css';
import './lab.css';
import './panes.css';
import { createLabApi } from './api';
import { LabApiProvider } from './context';
import { LabApp } from './LabApp';

const root = document.getElementById('root');
if (root === null) throw new Error('lab.html has no #root');

createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={newQueryClient()}>
      <LabApiProvider value={createLabApi(window.location.origin)}>
        <LabApp />
      </LabApiProvider>
    </QueryClientProvider>
  </StrictMode>,
);
