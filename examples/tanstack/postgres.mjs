// @tanstack/workflow-store-drizzle-postgres on a Postgres server, with Drizzle and node-postgres as its manual says.
import { createDrizzlePostgresWorkflowStore } from '@tanstack/workflow-store-drizzle-postgres'
import { drizzle } from 'drizzle-orm/node-postgres'
import pg from 'pg'

import { answered } from './operations.mjs'
import { described } from './packages.mjs'

/** Each request in flight may hold a connection of its own, so that requests meet in the server and not in a queue. */
const CONNECTIONS = 24
/** The schema's comment. A schema without it is somebody else's, and is not touched. */
const MARK = 'made by Storeproof, examples/tanstack: its rows are deleted between tests'
/**
 * The tables that are not as they were made. Rows that were deleted, and what the server counted of the table, would choose
 * the place of new rows and the plan of a statement: `UPDATE … RETURNING` would give rows in an order that hangs on what
 * other programs did before.
 */
const USED = `select quote_ident(nspname) || '.' || quote_ident(relname) as name
  from pg_class join pg_namespace on pg_namespace.oid = relnamespace
  where pg_class.oid = any ($1::regclass[]) and (pg_relation_size(pg_class.oid) > 0 or reltuples >= 0)`

/** `url`: of the server. `schema`: one that does not exist yet, or that an earlier process of this program made. */
export async function openPostgres({ url, schema }) {
  if (!url) throw new Error('the environment names no server: set STOREPROOF_PG_URL')
  // The name tells the connections of an earlier process of this program, which may have been killed.
  const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS, application_name: `storeproof ${schema}` })
  pool.on('error', () => {}) // an idle connection was lost; who asks next is told
  const holder = await holdAlone(pool, schema)
  await ownSchema(pool, schema)
  const store = createDrizzlePostgresWorkflowStore({ db: drizzle(pool), schema })
  await store.ensureSchema()
  const tables = await tablesOf(pool, schema)
  // So that nobody counts rows meanwhile; `reset` leaves nothing to clean up.
  await pool.query(tables.map((table) => `alter table ${table} set (autovacuum_enabled = off)`).join('; '))
  return {
    ...described('@tanstack/workflow-store-drizzle-postgres', { capabilities: ['durable'] }),
    answer: (method, params) => answered(store, method, params),
    async reset() {
      const used = await pool.query(USED, [tables])
      if (used.rowCount > 0) await pool.query(`truncate ${used.rows.map((row) => row.name).join(', ')}`)
    },
    async close() {
      holder.release(true)
      await pool.end()
    },
  }
}

/**
 * Holds the schema as long as this process lives. A process that was killed holds it no more, but may have left connections
 * that are still at their last statement: those are ended, so that whatever happened, happened before this one answers.
 */
async function holdAlone(pool, schema) {
  const client = await pool.connect()
  const others = `from pg_stat_activity where application_name = current_setting('application_name')
    and datname = current_database() and pid <> pg_backend_pid()`
  await client.query("set lock_timeout = '10s'")
  try {
    await client.query('select pg_advisory_lock(hashtextextended($1, 0))', [`storeproof ${schema}`])
  } catch (error) {
    throw new Error(`another process uses the schema ${schema}; name another one with --schema`, { cause: error })
  }
  await client.query(`select pg_terminate_backend(pid) ${others}`)
  while ((await client.query(`select 1 ${others}`)).rowCount > 0) await new Promise((done) => setTimeout(done, 5))
  return client
}

async function ownSchema(pool, schema) {
  const comment = await pool.query(
    "select obj_description(oid, 'pg_namespace') as mark from pg_namespace where nspname = $1",
    [schema],
  )
  if (comment.rowCount === 0) {
    const name = pg.escapeIdentifier(schema)
    await pool.query(`begin; create schema ${name}; comment on schema ${name} is ${pg.escapeLiteral(MARK)}; commit`)
  } else if (comment.rows[0].mark !== MARK) {
    throw new Error(`there is a schema ${schema} that this program did not make; name another one`)
  }
}

async function tablesOf(pool, schema) {
  const found = await pool.query(
    "select tablename from pg_tables where schemaname = $1 and tablename <> 'workflow_schema_migrations'",
    [schema],
  )
  return found.rows.map((row) => `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(row.tablename)}`)
}
