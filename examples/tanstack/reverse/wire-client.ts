// A client of Storeproof's wire protocol: JSON-RPC 2.0, one message a line, over a child process's standard streams.
// Knows messages and the process; no operation of the contract.

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { createInterface } from 'node:readline'

const PROTOCOL = 1

/** What `initialize` answers. */
export interface StoreDescription {
  name: string
  version: string
  specRevision: string
  capabilities: ReadonlyArray<string>
  subscribeDelayMs?: number
}

/** An error answer of the store: the codes and names are those of the protocol. */
export class WireError extends Error {
  override readonly name = 'WireError'
  constructor(
    readonly method: string,
    readonly code: number,
    message: string,
    readonly data: Record<string, unknown> = {},
  ) {
    super(`${method}: ${message}`)
  }
}

interface Waiting {
  method: string
  resolve: (result: unknown) => void
  reject: (error: Error) => void
}

type Listener = (event: unknown, index: number) => void

export class WireClient {
  private readonly waiting = new Map<number, Waiting>()
  private readonly listeners = new Map<string, Listener>()
  private readonly exited: Promise<number | null>
  private nextId = 1
  private said = ''
  private gone: Error | undefined

  private constructor(private readonly child: ChildProcessWithoutNullStreams) {
    createInterface({ input: child.stdout }).on('line', (line) => this.read(line))
    child.stderr.on('data', (text: Buffer) => (this.said = (this.said + text).slice(-2000)))
    child.stdin.on('error', () => {}) // a dead process is told by its exit
    this.exited = new Promise((resolve) => {
      child.on('error', (error) => this.fail(new Error(`the store did not start: ${error.message}`)))
      child.on('close', (code) => {
        this.fail(new Error(`the store has left with exit code ${code}: ${this.said}`))
        resolve(code)
      })
    })
  }

  /** Starts the process and introduces itself. Rejects when it does not start or speaks another version. */
  static async start(
    command: string,
    args: ReadonlyArray<string>,
  ): Promise<{ client: WireClient; store: StoreDescription }> {
    const client = new WireClient(spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] }))
    const store = (await client.call('initialize', { protocol: PROTOCOL })) as StoreDescription
    return { client, store }
  }

  /** One request. Any number may be under way. Rejects with WireError for an error answer. */
  call(method: string, params: object): Promise<unknown> {
    if (this.gone) return Promise.reject(this.gone)
    const id = this.nextId++
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { method, resolve, reject })
      this.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`)
    })
  }

  /** Calls `listener` for the events of a subscription, until the returned function is called. */
  listen(subscription: string, listener: Listener): () => void {
    this.listeners.set(subscription, listener)
    return () => this.listeners.delete(subscription)
  }

  /** Asks the store to end and waits until it has; its exit code. */
  async shutdown(): Promise<number | null> {
    await this.call('shutdown', {})
    return this.exited
  }

  /** Ends the process as a crash would. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }

  private read(line: string): void {
    const message = JSON.parse(line)
    if (message.method === 'event') {
      const { subscription, event, eventIndex } = message.params
      this.listeners.get(subscription)?.(event, eventIndex)
      return
    }
    const waiting = this.waiting.get(message.id)
    if (!waiting) {
      this.fail(new Error(`an answer to no request: ${line}`))
      return
    }
    this.waiting.delete(message.id)
    if (message.error) {
      const { code, message: text, data } = message.error
      waiting.reject(new WireError(waiting.method, code, text, data))
    } else {
      waiting.resolve(message.result)
    }
  }

  private fail(error: Error): void {
    this.gone ??= error
    for (const waiting of this.waiting.values()) waiting.reject(error)
    this.waiting.clear()
  }
}
