'use strict'

// The text timeline below a run.

const assert = require('node:assert')
const { describe, it } = require('node:test')

const { timeline } = require('../../lib/cli/timeline')

describe('timeline', () => {
  it('draws waiting, sound and outcome to scale', () => {
    const playbacks = [
      { requestId: 'music', requestedAtMs: 0, startedAtMs: 0, endedAtMs: 2000, outcome: 'stopped', reason: 'user' },
      { requestId: 'next', requestedAtMs: 1000, startedAtMs: 2000, endedAtMs: 4000, outcome: 'completed' },
      { requestId: 'bad', requestedAtMs: 1000, endedAtMs: 1000, outcome: 'failed', code: 'ERR_FILE' },
      { requestId: 'blip', requestedAtMs: 3000, startedAtMs: 3000, endedAtMs: 3001, outcome: 'completed' }
    ]
    assert.deepStrictEqual(timeline(playbacks, 63), [
      'music  ├───────────────────■ stopped (user)',
      'next             ··········├───────────────────┤',
      'bad              ✗ ERR_FILE',
      'blip                                 │',
      '       0 s       1 s       2 s       3 s'
    ])
    assert.deepStrictEqual(timeline([], 80), [])
  })
})
