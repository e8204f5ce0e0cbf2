// The Worker in which the D1 store runs.
import { createCloudflareD1WorkflowStore } from '@tanstack/workflow-store-cloudflare-d1'

import { answered } from './operations.mjs'

const KEPT = 'workflow_schema_migrations'

export default {
  async fetch(request, env) {
    const store = createCloudflareD1WorkflowStore({ db: env.WORKFLOW_DB })
    switch (new URL(request.url).pathname) {
      case '/schema':
        await store.ensureSchema()
        return new Response('')
      case '/reset':
        await emptied(env.WORKFLOW_DB)
        return new Response('')
      default: {
        const { method, params } = await request.json()
        return Response.json(await answered(store, method, params))
      }
    }
  },
}

async function emptied(db) {
  const found = await db.prepare("select name from sqlite_master where type = 'table' and name like 'workflow%'").all()
  const names = found.results.map((row) => row.name).filter((name) => name !== KEPT)
  await db.batch(names.map((name) => db.prepare(`delete from "${name}"`)))
}
