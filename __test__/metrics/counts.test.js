'use strict'

// `SpeakerSession.metrics()`, and what prom-client exposes of it, against the emitted events.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const path = require('node:path')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')
const client = require('prom-client')

const { SpeakerSession } = require('../..')
const { collectMetrics } = require('../../adapters/metrics')
const { random } = require('../support/random')
const { root } = require('../support/process')
const { tone } = require('../support/wav')

const PLAYS = 10_000
const SESSIONS = 20

/** Sounds of different lengths, and sources that fail. */
const sources = [
  ...[5, 20, 90, 250, 700].map((ms) => ({ audio: tone(440, ms, { sampleRate: 8000 }) })),
  { audioUrl: '/nowhere.wav' },
  { audio: Buffer.alloc(0) },
  { audio: Buffer.from('no audio at all, but a text that is long enough to be looked at') }
]

/** Counts the events of sessions, as an operator without metrics would. */
function counting() {
  const counts = { started: 0, completed: 0, stopped: 0, failed: 0, failures: {}, latencies: [], durations: [] }
  const ended = ({ durationMs }) => durationMs > 0 && counts.durations.push(durationMs)
  const watch = (session) => {
    session.on('started', ({ latencyMs }) => counts.latencies.push(latencyMs))
    for (const type of ['started', 'completed', 'stopped', 'failed']) session.on(type, () => counts[type]++)
    for (const type of ['completed', 'stopped', 'failed']) session.on(type, ended)
    session.on('failed', ({ code }) => (counts.failures[code] = (counts.failures[code] ?? 0) + 1))
  }
  return { counts, watch }
}

/** Returns the sum of times in samples, the unit in which they are summed. */
const samples = (times) => times.reduce((sum, ms) => sum + Math.round(ms * 48), 0)

function assertHistogram(histogram, times, name) {
  assert.equal(histogram.count, times.length, name)
  assert.equal(Math.round(histogram.sum * 48), samples(times), name)
  for (const { upto, count } of histogram.buckets) assert.equal(count, times.filter((ms) => ms <= upto).length, `${name} up to ${upto} ms`)
}

/** Returns the lines of a scrape, by name and labels. */
async function scrape(registry) {
  const lines = (await registry.metrics()).split('\n').filter((line) => line && !line.startsWith('#'))
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
}

test(`metrics match the events of ${PLAYS} random plays`, async () => {
  const below = random(25)
  const { counts, watch } = counting()
  const register = new client.Registry()
  collectMetrics({ register })
  const before = SpeakerSession.metrics()
  let accepted = 0
  const open = () => {
    const overlap = ['mix', 'queue', 'replace'][below(3)]
    const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' }, overlap, maxQueued: 8, onDuplicate: 'replace' })
    watch(session)
    return session
  }
  const sessions = Array.from({ length: SESSIONS }, open)
  while (accepted < PLAYS) {
    const index = below(SESSIONS)
    const session = sessions[index]
    for (let n = below(12); n >= 0; n--) {
      const request = { ...sources[below(sources.length)], trackId: below(3), stopOther: below(8) === 0, priority: below(3) }
      if (below(4) === 0) request.requestId = `id ${below(5)}`
      if (session.playAudio(request).requestId !== undefined) accepted++
    }
    if (below(3) === 0) session.stopAudio({ trackId: below(3) })
    if (below(3) === 0) session.pauseAudio({ trackId: below(3) })
    if (below(2) === 0) session.resumeAudio()
    await session.advance(below(400))
    if (below(40) === 0) {
      await session.close()
      sessions[index] = open()
    }
    if (below(10) === 0) {
      const live = sessions.flatMap((each) => each.playbacks())
      const { active, queued } = SpeakerSession.metrics()
      const waits = live.filter(({ queuePosition }) => queuePosition !== undefined).length
      assert.deepEqual({ active, queued }, { active: live.length - waits, queued: waits })
    }
  }
  await Promise.all(sessions.map((session) => session.close()))

  const metrics = SpeakerSession.metrics()
  const { started, completed, stopped, failed, failures } = counts
  assert.deepEqual(before, { ...before, requests: 0, started: 0, failures: {} })
  assert.deepEqual(
    { ...metrics, firstFrameLatencyMs: undefined, durationMs: undefined },
    { ...before, requests: accepted, started, completed, stopped, failed, failures, firstFrameLatencyMs: undefined, durationMs: undefined }
  )
  assert.equal(completed + stopped + failed, accepted)
  assert.ok(completed > 0 && stopped > 0 && Object.keys(failures).length >= 4, JSON.stringify(counts.failures))
  assertHistogram(metrics.firstFrameLatencyMs, counts.latencies, 'latency')
  assertHistogram(metrics.durationMs, counts.durations, 'duration')

  const shown = await scrape(register)
  const expected = { requests: accepted, started, completed, failed, cancelled: stopped, bridge_error: 0, panics: 0 }
  for (const [name, count] of Object.entries(expected)) assert.equal(shown[`server_playback_${name}_total`], count, name)
  for (const [code, count] of Object.entries(failures)) {
    assert.equal(shown[`server_playback_failures_by_code_total{code="${code}"}`], count, code)
  }
  for (const [name, times] of [['duration_ms', counts.durations], ['first_frame_latency_ms', counts.latencies]]) {
    assert.equal(shown[`server_playback_${name}_count`], times.length)
    assert.equal(shown[`server_playback_${name}_bucket{le="+Inf"}`], times.length)
    assert.equal(shown[`server_playback_${name}_bucket{le="500"}`], times.filter((ms) => ms <= 500).length)
    assert.equal(Math.round(shown[`server_playback_${name}_sum`] * 48), samples(times))
  }
  assert.deepEqual([shown.server_playback_active, shown.server_playback_queued, shown.server_playback_sessions], [0, 0, 0])
})

test('sessions in worker threads count into one process', async () => {
  const before = SpeakerSession.metrics()
  const worker = new Worker(`
    const { SpeakerSession } = require(${JSON.stringify(root)})
    const { parentPort } = require('node:worker_threads')
    ;(async () => {
      const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
      const playing = session.playAudio({ audioUrl: ${JSON.stringify(path.join(root, '__test__', 'fixtures', 'tone-s16.wav'))} })
      await session.advance(10_000)
      await playing
      parentPort.postMessage(SpeakerSession.metrics().completed)
      await session.close()
    })()
  `, { eval: true })
  // A worker that ends at once tells its message and its end together.
  const exited = once(worker, 'exit')
  const [completed] = await once(worker, 'message')
  assert.equal(completed, before.completed + 1)
  assert.equal(SpeakerSession.metrics().completed, completed)
  await exited
})

test('counts an output that cannot be opened once', async () => {
  const { outputErrors } = SpeakerSession.metrics()
  const session = new SpeakerSession({ output: { type: 'wav', path: '/nowhere/mix.wav' } })
  await assert.rejects(session.playAudio({ audio: tone(440, 50) }), { code: 'ERR_OUTPUT' })
  assert.equal(SpeakerSession.metrics().outputErrors, outputErrors + 1)
  await session.close()
})

test('applies the prefix and refuses taken names', async () => {
  const register = new client.Registry()
  new client.Gauge({ name: 'mine_server_playback_queued', help: 'somebody else', registers: [register] })
  assert.throws(() => collectMetrics({ register, prefix: 'mine_' }), /mine_server_playback_queued/)
  assert.equal(register.getMetricsAsArray().length, 1)
  collectMetrics({ register, prefix: 'other_' })
  collectMetrics({ register })
  assert.throws(() => collectMetrics({ register }), /server_playback_requests_total/)
  const names = new Set(register.getMetricsAsArray().map(({ name }) => name))
  for (const name of names) if (name.startsWith('server_')) assert.ok(names.has(`other_${name}`))
})

test('an OpenMetrics registry exposes them too', async () => {
  const register = new client.Registry(client.Registry.OPENMETRICS_CONTENT_TYPE)
  collectMetrics({ register })
  const { completed, durationMs } = SpeakerSession.metrics()
  const shown = await scrape(register)
  assert.equal(shown.server_playback_completed_total, completed)
  assert.equal(shown.server_playback_duration_ms_count, durationMs.count)
})
