// @tanstack/workflow-store-cloudflare-d1 in workerd, on the D1 that miniflare brings: the store runs inside of a Worker
// and has its database as a binding, as it does in production. Each request of the wire is one request to that Worker.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { buildSync } from 'esbuild'

import { described } from './packages.mjs'
import { startWorkerd } from './workerd.mjs'

/** A folder without this file is somebody else's, and is not touched. */
const MARK = 'made-by-storeproof-examples-tanstack'

/** `folder`: where the database lies, made here or by an earlier process; without one it goes with this process. */
export async function openD1({ folder }) {
  const place = folder ?? mkdtempSync(path.join(tmpdir(), 'storeproof-d1-'))
  ownFolder(place, folder === undefined)
  const { miniflare, dispose } = await startWorkerd(place, {
    modules: true,
    script: bundled('d1-worker.mjs'),
    compatibilityDate: '2026-04-01',
    d1Databases: { WORKFLOW_DB: 'workflow' },
    d1Persist: place,
    logRequests: false,
    unsafeDirectSockets: [{}], // not through miniflare's own proxy, which takes ten times as long
  })
  const address = await miniflare.unsafeGetDirectURL()
  const ask = (route, body) => posted(new URL(route, address), body)
  await ask('/schema', '')
  return {
    ...described('@tanstack/workflow-store-cloudflare-d1', { capabilities: folder ? ['durable'] : [] }),
    answer: async (method, params) => JSON.parse(await ask('/', JSON.stringify({ method, params }))),
    reset: () => ask('/reset', ''),
    async close() {
      await dispose()
      if (!folder) rmSync(place, { recursive: true, force: true })
    },
  }
}

/** The Worker with the packages it imports as one module, as wrangler makes it. */
function bundled(file) {
  const made = buildSync({
    entryPoints: [fileURLToPath(new URL(file, import.meta.url))],
    bundle: true,
    format: 'esm',
    write: false,
    logLevel: 'silent', // what it has to say, it throws
  })
  return made.outputFiles[0].text
}

function ownFolder(folder, fresh) {
  const mark = path.join(folder, MARK)
  if (existsSync(folder) && !fresh && !existsSync(mark)) {
    throw new Error(`${folder} exists and this program did not make it; name another one`)
  }
  mkdirSync(folder, { recursive: true })
  writeFileSync(mark, '')
}

/**
 * The body of the Worker's answer. Whatever the store throws is answered by the Worker; where there is no answer at
 * all, nobody can say anything about the store, so this process ends.
 */
function posted(url, body) {
  return new Promise((resolve) => {
    // A connection for each: workerd closes one behind a long request, and the next request would meet that.
    const request = http.request(url, { agent: false, method: 'POST' }, (response) => {
      const parts = []
      response.on('data', (part) => parts.push(part))
      response.on('error', fatal)
      response.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8')
        if (response.statusCode === 200) resolve(text)
        else fatal(new Error(`workerd answered ${response.statusCode}: ${text.slice(0, 500)}`))
      })
    })
    request.on('error', fatal)
    request.end(body)
  })
}

function fatal(error) {
  console.error(error)
  process.exit(3)
}
