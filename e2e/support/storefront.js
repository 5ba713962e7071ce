/** Runs the real program in a new folder on a free port. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { killAtExit, removeFolder, temporaryFolder } from './cleanup.js';

const BINARY = resolve(
  process.env.STOREFRONT_BIN ?? join(import.meta.dirname, '../../target/debug/storefront'),
);
/** The first start also installs the demo games. */
const START_TIMEOUT_MS = 60_000;
const READY = /^storefront (?:lab )?is ready: open (http:\/\/[^/]+)\//;

/** Starts a storefront with demo games; `flags` are further flags of `serve`. */
export async function startStorefront(flags = []) {
  const folder = temporaryFolder('store');
  const store = new Storefront(folder, ['serve', ...flags]);
  await store.start('127.0.0.1:0');
  return store;
}

/** Starts a lab in which no database is registered: its runs load embedded stand-ins. */
export async function startLab() {
  const folder = temporaryFolder('lab');
  const lab = new Storefront(folder, ['lab', '--lab-data', join(folder, 'lab.db')]);
  await lab.start('127.0.0.1:0');
  return lab;
}

class Storefront {
  #folder;
  /** The subcommand with its flags. */
  #command;
  #child = null;
  /** For example `http://127.0.0.1:41234`; the same after a restart. */
  origin = '';

  constructor(folder, command) {
    this.#folder = folder;
    this.#command = command;
  }

  async start(listen) {
    const child = spawn(BINARY, [...this.#command, '--listen', listen], {
      cwd: this.#folder,
      env: withoutSettings(process.env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    killAtExit(child);
    this.origin = await waitUntilReady(child);
  }

  /** Starts again on the same port, with the same data. */
  restart() {
    return this.start(new URL(this.origin).host);
  }

  /** Kills it without a shutdown, like a crash. */
  kill() {
    return this.#end('SIGKILL');
  }

  async stop() {
    await this.#end('SIGTERM');
    removeFolder(this.#folder);
  }

  async #end(signal) {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    const killTimer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await exited;
    clearTimeout(killTimer);
  }

  /** A JSON response of the API, requested without the browser. */
  async get(path) {
    return (await this.#request(path)).json();
  }

  /** Sends a POST to the API, without the browser. */
  async post(path) {
    await this.#request(path, { method: 'POST' });
  }

  async #request(path, options) {
    const response = await fetch(`${this.origin}${path}`, options);
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return response;
  }
}

/** The environment without the program's settings, which would change the tests. */
function withoutSettings(environment) {
  return Object.fromEntries(
    Object.entries(environment).filter(
      ([name]) => !/^(STOREFRONT_|(DB|DATABASE_URL|NODE_ENV)$|(PROD|DEV)_)/.test(name),
    ),
  );
}

async function waitUntilReady(child) {
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    log = (log + text).slice(-4_000);
  });
  const lines = createInterface({ input: child.stdout });
  const ready = new Promise((resolveReady, reject) => {
    lines.on('line', (line) => {
      const match = READY.exec(line);
      if (match) resolveReady(match[1]);
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`ended (${code ?? signal})`)));
    setTimeout(() => reject(new Error('not ready in time')), START_TIMEOUT_MS).unref();
  });
  try {
    return await ready;
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`${BINARY}: ${error.message}\n${log}`, { cause: error });
  }
}
