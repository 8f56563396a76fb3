// The gateway's own command line, and programs that are run to their end.

import { spawn } from 'node:child_process';
import { baseUrl, key } from './hub.mjs';
import { setting } from './suite.mjs';

const dll = setting('GATEWAY_PROGRAM');
const limitMs = 45_000;

/** How a client starts the bridge. */
export const bridge = {
  command: 'dotnet',
  args: [dll, 'bridge', '--url', baseUrl],
  env: { PATH: process.env.PATH, HOME: process.env.HOME ?? '', ...dotnetRoot(), GATEWAY_KEY: key },
};

function dotnetRoot() {
  return process.env.DOTNET_ROOT ? { DOTNET_ROOT: process.env.DOTNET_ROOT } : {};
}

/** Runs a program; gives its exit code and what it printed. One that does not end is killed, and its code is null. */
export function runProgram(command, args, { env = process.env, cwd, input = '' } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', text => { stdout += text; });
    child.stderr.setEncoding('utf8').on('data', text => { stderr += text; });
    child.on('error', reject);
    child.on('close', code => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
    child.stdin.on('error', () => {}).end(input);
  });
}

/** Runs `gateway` with arguments. */
export const gateway = (args, options) => runProgram('dotnet', [dll, ...args], options);
