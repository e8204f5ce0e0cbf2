// A published TanStack Workflow store over Storeproof's wire protocol, version 1: JSON-RPC 2.0, one message a line.
//
//   node bridge.mjs memory                      @tanstack/workflow-runtime
//   node bridge.mjs postgres [--schema NAME]    @tanstack/workflow-store-drizzle-postgres, on STOREPROOF_PG_URL
//   node bridge.mjs d1 [--folder FOLDER]        @tanstack/workflow-store-cloudflare-d1, in workerd
//
// Knows the protocol and nothing of what the operations mean.
import process from 'node:process'
import { parseArgs } from 'node:util'

import { errorOf, noSuchOperation } from './operations.mjs'

const OPENERS = {
  __proto__: null,
  memory: async () => (await import('./memory.mjs')).openMemory(),
  postgres: async ({ schema }) =>
    (await import('./postgres.mjs')).openPostgres({ url: process.env.STOREPROOF_PG_URL, schema }),
  d1: async ({ folder }) => (await import('./d1.mjs')).openD1({ folder }),
}

class Bridge {
  constructor(open) {
    this.open = open
    this.store = undefined
    this.subscriptions = new Map()
    this.inFlight = new Set()
  }

  /** Takes one line; the answer is written when it is there, and the next line need not wait for it. */
  take(line) {
    let message
    try {
      message = JSON.parse(line)
    } catch (error) {
      return write({ id: null, error: { code: -32700, message: error.message } })
    }
    const { id, method, params } = message ?? {}
    if (id === undefined || typeof method !== 'string' || typeof (params ?? {}) !== 'object') {
      return write({ id: null, error: { code: -32600, message: 'no request with an id and a method' } })
    }
    const work = this.run(id, method, params ?? {})
    this.inFlight.add(work)
    return work.finally(() => this.inFlight.delete(work))
  }

  async run(id, method, params) {
    let after
    const control = CONTROL[method]
    let answer
    try {
      if (control) {
        const done = await control.call(this, params)
        after = done?.after
        answer = done?.answer ?? { result: null }
      } else {
        answer = this.store ? await this.store.answer(method, params) : { error: noSuchOperation(method) }
      }
    } catch (error) {
      answer = { error: errorOf(error) }
    }
    write({ id, ...answer })
    after?.()
  }

  /** All that is in flight is answered first. */
  async end() {
    await Promise.allSettled(this.inFlight)
    await this.store?.close()
    await flushed()
    process.exit(0)
  }
}

/** The control methods; each may return an `answer`, and what is to be done `after` it was written. */
const CONTROL = {
  __proto__: null,

  async initialize({ protocol }) {
    if (protocol !== 1) return { answer: invalid('protocol', 'only protocol 1 is spoken here') }
    this.store ??= await this.open()
    return { answer: { result: this.store.about } }
  },

  async reset() {
    for (const unsubscribe of this.subscriptions.values()) unsubscribe()
    this.subscriptions.clear()
    await this.store.reset()
  },

  async subscribe({ subscription, runId, fromIndex }) {
    if (!this.store.subscribe) return { answer: { error: noSuchOperation('subscribe') } }
    if (this.subscriptions.has(subscription)) return { answer: invalid('subscription', 'the name is in use') }
    // Events of before this call are given while it runs, and are written behind its answer.
    let early = []
    const unsubscribe = this.store.subscribe(runId, fromIndex, (event, eventIndex) => {
      const params = { subscription, eventIndex, event }
      if (early) early.push(params)
      else write({ method: 'event', params })
    })
    this.subscriptions.set(subscription, unsubscribe)
    return {
      after() {
        for (const params of early) write({ method: 'event', params })
        early = undefined
      },
    }
  },

  async unsubscribe({ subscription }) {
    this.subscriptions.get(subscription)?.()
    this.subscriptions.delete(subscription)
  },

  async shutdown() {
    await Promise.allSettled([...this.inFlight]) // this request is not among them yet
    return { after: () => void this.end() }
  },
}

function invalid(field, message) {
  return { error: { code: -32602, message, data: { name: 'InvalidArgument', field } } }
}

function write(message) {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
}

function flushed() {
  return new Promise((resolve) => process.stdout.write('', resolve))
}

/** Lines end with \n and nothing else: node:readline also ends them at U+2028, which JSON strings may hold. */
async function* lines(stream) {
  let parts = []
  for await (const chunk of stream) {
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...parts, chunk.subarray(from, at)]).toString('utf8')
      parts = []
      from = at + 1
      if (line.trim()) yield line
    }
    if (from < chunk.length) parts.push(chunk.subarray(from))
  }
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { schema: { type: 'string', default: 'storeproof_tanstack' }, folder: { type: 'string' } },
  })
  const open = OPENERS[positionals[0]]
  if (!open || positionals.length > 1) throw new Error(`usage: bridge.mjs ${Object.keys(OPENERS).join('|')}`)
  const bridge = new Bridge(() => open(values))
  for await (const line of lines(process.stdin)) void bridge.take(line)
  await bridge.end()
}

process.stdout.on('error', () => process.exit(1)) // nobody listens any more
main().catch((error) => {
  console.error(error)
  process.exit(2)
})
