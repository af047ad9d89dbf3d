'use strict'

// The dashboard, against a real Prometheus that scrapes the example: every query has data.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const client = require('prom-client')

const { collectMetrics } = require('../../adapters/metrics')
const { panels, templating } = require('../../adapters/metrics/dashboard.json')
const { whyUnavailable } = require('../../scripts/debian')
const { executable, startPrometheus } = require('../../scripts/prometheus')

const example = path.join(__dirname, '..', '..', 'examples', 'metrics.js')

/** Substitutes variables as Grafana does, with All selected. */
const filledIn = (text, prefix = '') => text.replaceAll('${prefix}', prefix).replaceAll('$__rate_interval', '10s').replaceAll(/\$(job|instance)/g, '.*')

/** Returns all queries of the dashboard's panels. */
const queries = panels.flatMap(({ title, targets }) => targets.map(({ expr, legendFormat }) => ({ name: `${title}: ${legendFormat}`, expr })))

async function ask(url, query) {
  const answer = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query })}`)
  const { status, data, error } = await answer.json()
  assert.equal(status, 'success', `${query}: ${error}`)
  return data.result.map(({ value: [, value] }) => Number(value))
}

test('the dashboard shows every metric without overlapping panels', () => {
  const register = new client.Registry()
  collectMetrics({ register })
  const all = queries.map(({ expr }) => filledIn(expr)).join('\n')
  const shown = new Set(all.match(/server_playback_\w+?(?=_bucket|_sum|_count|\b)/g))
  const registered = register.getMetricsAsArray().map(({ name }) => name)
  // A histogram's count matters less than its values.
  assert.deepEqual(registered.filter((name) => !shown.has(name)), ['server_playback_clips', 'server_playback_cache_entries'])
  const places = panels.flatMap(({ gridPos: { x, y, w, h } }) => Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`))
  assert.equal(new Set(places).size, places.length)
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
})

test('every dashboard query has data in Prometheus', { skip: whyUnavailable(executable) }, async (t) => {
  const server = spawn(process.execPath, [example, '0'], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => server.kill('SIGKILL'))
  const [line] = await once(server.stdout.setEncoding('utf8'), 'data')
  const prometheus = await startPrometheus(new URL(line).host)
  t.after(() => prometheus.stop())
  for (const { name, expr } of queries) {
    // A rate needs two scrapes, and a quantile needs values between them.
    let values = []
    for (let attempt = 0; attempt < 200 && (values.length === 0 || values.some(Number.isNaN)); attempt++) {
      if (attempt > 0) await sleep(200)
      values = await ask(prometheus.url, filledIn(expr))
    }
    assert.ok(values.length > 0 && !values.some(Number.isNaN), `${name} has ${JSON.stringify(values)}: ${expr}`)
  }
  for (const { name, query } of templating.list.filter(({ type }) => type === 'query')) {
    const [, series, label] = filledIn(query.query).match(/^label_values\((.*), (\w+)\)$/)
    const answer = await fetch(`${prometheus.url}/api/v1/label/${label}/values?${new URLSearchParams({ 'match[]': series })}`)
    const { data } = await answer.json()
    assert.equal(data.length, 1, `${name}: ${JSON.stringify(data)}`)
  }
  for (const outcome of ['completed', 'failed', 'cancelled']) {
    const isCounted = async () => (await ask(prometheus.url, `server_playback_${outcome}_total`))[0] > 0
    for (let attempt = 0; attempt < 100 && !(await isCounted()); attempt++) await sleep(200)
    assert.ok(await isCounted(), outcome)
  }
  assert.deepEqual(await ask(prometheus.url, 'server_playback_sessions'), [3])
})
