import { createContext, useContext } from 'react';
import type { LabApi } from './api';

const LabApiContext = createContext<LabApi | null>(null);
export const LabApiProvider = LabApiContext.Provider;

export function useLabApi(): LabApi {
  const api = useContext(LabApiContext);
  if (api === null) throw new Error('no LabApiProvider above this component');
  return api;
}
