// A workerd that does not outlive the process that started it, however that one ends. Miniflare's own does, and then
// holds the database, when its parent is killed; and to be killed is what the kit does to a durable store.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { Miniflare } from 'miniflare'

const LONGEST_WAIT_MS = 10_000

/** Miniflare with `options`, whose workerd's number is in a file in `folder`; `dispose` ends both. */
export async function startWorkerd(folder, options) {
  const file = path.join(folder, 'workerd.pid')
  await gone(file)
  ownTemporaries(path.join(folder, 'tmp'))
  const packages = createRequire(createRequire(import.meta.url).resolve('miniflare'))
  process.env.STOREPROOF_WORKERD = packages('workerd').default
  process.env.STOREPROOF_WORKERD_PID = file
  process.env.MINIFLARE_WORKERD_PATH = fileURLToPath(new URL('workerd.sh', import.meta.url))
  const miniflare = new Miniflare({
    ...options,
    // standard output is for the protocol
    handleRuntimeStdio: (stdout, stderr) => [stdout, stderr].forEach((stream) => stream.pipe(process.stderr)),
  })
  await miniflare.ready
  const release = guard(Number(readFileSync(file, 'utf8')), file)
  return {
    miniflare,
    async dispose() {
      release()
      await miniflare.dispose()
      rmSync(file, { force: true })
    },
  }
}

/** Miniflare removes what it has in the system's temporary folder when it is disposed of, and not when it is killed. */
function ownTemporaries(folder) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  process.env.TMPDIR = folder
}

/** A shell that waits for a line from this process; when this process ends without one, it kills workerd. */
function guard(pid, file) {
  const script = 'read -r _ || { kill -9 "$1"; rm -f "$2"; }'
  const shell = spawn('/bin/sh', ['-c', script, 'sh', String(pid), file], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // a signal to this process's group must not end it first
  })
  shell.unref()
  return () => shell.stdin.end('\n')
}

/** Waits until the workerd of an earlier process on the same folder is gone. */
async function gone(file) {
  for (let waited = 0; existsSync(file); waited += 10) {
    if (waited >= LONGEST_WAIT_MS) throw new Error(`${file}: another process uses this folder, or did not end well`)
    await sleep(10)
  }
}
