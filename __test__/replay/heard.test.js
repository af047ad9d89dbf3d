'use strict'

// What a report counts as heard, compared with the samples.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { replay } = require('speaker-session/replay')
const { wavFile } = require('speaker-session/testing')
const { random } = require('../support/random')

const LEVEL = 0.01
const clip = (ms) => wavFile(new Float64Array(ms * 48).fill(LEVEL)).toString('base64')
const CLIPS = [20, 150, 400, 1100].map(clip)
const TRACKS = [0, 1]

/** Random requests of a user, each at another time. */
function requestsOf(user, seed) {
  const number = random(seed)
  const ids = []
  let atMs = 0
  return Array.from({ length: 40 }, (_, n) => {
    atMs += 1 + number(200)
    const trackId = number(TRACKS.length)
    const target = number(2) === 0 && ids.length > 0 ? { requestId: ids[number(ids.length)] } : { trackId }
    const others = [{ type: 'stop', ...target, fadeOutMs: number(30) }, { type: 'pause', ...target }, { type: 'resume' }, { type: 'resume' },
      { type: 'mute', trackId, muted: number(2) === 0 }, { type: 'seek', ...target, positionMs: number(300) }]
    if (number(2) === 0) return { user, atMs, ...others[number(others.length)] }
    const requestId = `p${n}`
    ids.push(requestId)
    const overlap = ['mix', 'mix', 'queue', 'replace'][number(4)]
    return { user, atMs, type: 'play', requestId, audio: CLIPS[number(CLIPS.length)], trackId, overlap, stopOther: number(8) === 0 }
  })
}

/** Returns for how many ms at least this many sound at once in a mix. */
function lasted(samples, count) {
  return samples.reduce((sum, sample) => sum + (sample > (count - 0.5) * LEVEL), 0) / 48
}

test('heard time and overlap match the samples', async () => {
  const requests = Array.from({ length: 30 }, (_, seed) => requestsOf(`u${seed}`, seed + 1)).flat()
  const samples = new Map()
  const { users, totals } = await replay({
    requests,
    output: { type: 'memory' },
    onUser: ({ user }, session) => void samples.set(user, session.recording().samples)
  })
  assert.ok(totals.overlapMs > 1000 && totals.waited > 10 && totals.unheard > 10, JSON.stringify(totals))
  for (const { user, heardMs, overlapMs } of users) {
    // Half of each fade, of 30 ms at most, is below half the level; a sought playback is silent for a moment.
    const edges = 40 * 15
    const [heard, both] = [1, 2].map((count) => lasted(samples.get(user), count))
    assert.ok(Math.abs(heardMs - heard) < edges, `${user}: ${heardMs} ms, and ${heard} ms in the samples`)
    assert.ok(Math.abs(overlapMs - both) < edges, `${user}: ${overlapMs} ms at once, and ${both} ms in the samples`)
  }
  const heard = users.reduce((sum, { user }) => sum + lasted(samples.get(user), 1), 0)
  assert.ok(Math.abs(totals.heardMs / heard - 1) < 0.01, `${totals.heardMs} ms in all, and ${heard} ms in the samples`)
})
