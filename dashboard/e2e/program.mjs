// Runs the real program on a temporary folder and a free port, and the loopback services that it watches.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const READY_WITHIN_MS = 30_000;
const STOPPED_WITHIN_MS = 20_000;
const POLL_MS = 50;
const BUILT = ['release', 'debug'].map((profile) => fileURLToPath(new URL(`../../target/${profile}/watchpost`, import.meta.url)));

function binary() {
  const found = process.env.WATCHPOST_BIN ? resolve(process.env.WATCHPOST_BIN) : BUILT.find((path) => existsSync(path));
  assert.ok(found && existsSync(found), 'build the program first, or name it in WATCHPOST_BIN');
  return found;
}

async function listening(server, port = 0) {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

/** A port on which nothing listens. */
async function freePort() {
  const server = createTcp();
  const port = await listening(server);
  server.close();
  await once(server, 'close');
  return port;
}

/** Web services on loopback whose behaviour can be changed: `modes.set('shop', 'ok' | 'error' | 'slow' | 'reset')`. */
export async function startTargets() {
  const modes = new Map();
  const server = createHttp((request, response) => {
    const mode = modes.get(request.url.slice(1)) ?? 'ok';
    if (mode === 'reset') return request.socket.destroy();
    const answer = () => {
      response.writeHead(mode === 'error' ? 500 : 200, { 'content-type': 'text/plain' });
      response.end(mode === 'error' ? 'broken' : 'all is well');
    };
    return mode === 'slow' ? setTimeout(answer, 400) : answer();
  });
  const port = await listening(server);
  return {
    modes,
    url: (name) => `http://127.0.0.1:${port}/${name}`,
    address: `127.0.0.1:${port}`,
    closed: `127.0.0.1:${await freePort()}`,
    stop: () => {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}

/** The configuration as YAML; a monitor is one line, in JSON, which is YAML too. */
export function configuration(monitors, extra = '') {
  const lines = monitors.map((monitor) => `  - ${JSON.stringify(monitor)}`);
  return `defaults: { interval: 1s, timeout: 2s }\n${extra}monitors:\n${lines.join('\n')}\n`;
}

/** Starts the program with a configuration. It is stopped by `stop`, which also removes its folder. */
export async function startProgram(text) {
  const folder = mkdtempSync(join(tmpdir(), 'watchpost-e2e-'));
  const file = join(folder, 'watchpost.yml');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const program = { url, folder, file, child: null, log: '' };

  /** Replaces the file as an editor does: a new file renamed into place. */
  program.configure = (changed) => {
    writeFileSync(`${file}.new`, changed);
    renameSync(`${file}.new`, file);
  };

  program.start = async () => {
    const child = spawn(binary(), ['serve', '--config', file, '--data', join(folder, 'data'), '--listen', `127.0.0.1:${port}`], {
      cwd: folder, stdio: ['ignore', 'pipe', 'pipe'],
    });
    program.child = child;
    const keep = (chunk) => (program.log = (program.log + chunk).slice(-20_000));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    await ready(program);
  };

  program.halt = async () => {
    const { child } = program;
    program.child = null;
    if (!child || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOPPED_WITHIN_MS);
    const [code, signal] = await ended;
    clearTimeout(timer);
    assert.equal(code, 0, `SIGTERM ended it with ${code ?? signal}:\n${program.log}`);
  };

  program.stop = async () => {
    try {
      await program.halt();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };

  program.configure(text);
  await program.start();
  return program;
}

async function ready(program) {
  const until = Date.now() + READY_WITHIN_MS;
  while (Date.now() < until) {
    assert.equal(program.child.exitCode, null, `the program ended at its start:\n${program.log}`);
    const answer = await fetch(`${program.url}readyz`).catch(() => null);
    if (answer?.ok) return;
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
  assert.fail(`the program is not ready within ${READY_WITHIN_MS} ms:\n${program.log}`);
}
