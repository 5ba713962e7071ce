/** Removes folders and ends processes of a run, even when a test fails or the run is interrupted. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders = new Set();
const children = new Set();

/** A new folder that is removed at the end of the run. */
export function temporaryFolder(purpose) {
  const folder = mkdtempSync(join(tmpdir(), `storefront-e2e-${purpose}-`));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder) {
  // Retries, because a browser's last writes may race with the removal.
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  folders.delete(folder);
}

/** Kills the child at the end of the run if it is still running. */
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
