/** Whatever a run starts or makes is undone here, also when a test fails or the run is stopped. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders = new Set();
const children = new Set();

/** A fresh folder, gone by the end of the run. */
export function temporaryFolder(purpose) {
  const folder = mkdtempSync(join(tmpdir(), `storefront-e2e-${purpose}-`));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder) {
  // A browser's last writes may race with the removal.
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  folders.delete(folder);
}

/** Ends the child with the run, should nobody have done so before. */
export function killAtExit(child) {
  children.add(child);
  child.once('exit', () => children.delete(child));
}

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) removeFolder(folder);
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => process.exit(1));
}
