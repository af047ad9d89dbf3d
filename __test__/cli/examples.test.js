'use strict'

// The examples, run as a user runs them.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')

const FRAME_MS = 20
const FRAME_BYTES = (16000 * FRAME_MS * 2) / 1000

/** Runs an example and asserts that it exits with 0. */
function run(name, ...options) {
  return promisify(execFile)(process.execPath, [path.join(__dirname, '..', '..', 'examples', name), ...options], {
    maxBuffer: 2 ** 26
  })
}

/** Returns the bytes of audio before the first StopAudio, between two, and after the last one. */
function sections(messages) {
  const bytes = [0]
  for (const message of messages) {
    if (message.kind === 'StopAudio') {
      assert.deepEqual(message, { kind: 'StopAudio', audioData: null, stopAudio: {} })
      bytes.push(0)
    } else {
      const { data } = message.audioData
      assert.deepEqual(message, { kind: 'AudioData', audioData: { data }, stopAudio: null })
      bytes.push(bytes.pop() + Buffer.from(data, 'base64').length)
    }
  }
  return bytes
}

const lines = (text) => text.trimEnd().split('\n')

test('barge-in and the next recognizer result stop replies', async () => {
  const { stdout, stderr } = await run('barge-in.js')
  assert.deepEqual(lines(stderr).filter((line) => line.startsWith('turn')), [
    'turn 1: 1480.0 ms were sent (barge-in)',
    'turn 1: stopped after 1500.0 ms',
    'turn 2: 580.0 ms were sent (next turn)',
    'turn 2: stopped after 600.0 ms',
    'turn 3: 1980.0 ms were sent (next turn)',
    'turn 3: stopped after 2000.0 ms',
    'turn 4: 680.0 ms were sent (barge-in)',
    'turn 4: stopped after 700.0 ms',
    'turn 5: completed after 2089.8 ms'
  ])
  const messages = lines(stdout).map((line) => JSON.parse(line))
  // An interrupted reply is followed by the frame in which it faded out, unless the next reply begins there.
  const silent = 1
  assert.deepEqual(sections(messages).map((bytes) => bytes / FRAME_BYTES), [
    1480 / FRAME_MS,
    silent + 580 / FRAME_MS,
    1980 / FRAME_MS,
    680 / FRAME_MS,
    silent + Math.ceil(2089.8 / FRAME_MS)
  ])
  assert.equal((await run('barge-in.js')).stdout, stdout, 'the same messages each time')
})

test('barge-in gives the same in real time', async () => {
  const { stdout, stderr } = await run('barge-in.js', '--realtime')
  const story = (text) => lines(text).map((line) => line.replace(/\d+\.\d+ ms/, '…')).sort()
  assert.deepEqual(story(stderr), story((await run('barge-in.js')).stderr))
  const bytes = sections(lines(stdout).map((line) => JSON.parse(line)))
  assert.ok(bytes.length === 5 && bytes.every((count) => count > 0), `${bytes}`)
  assert.ok(bytes[4] >= Math.ceil(2089.8 / FRAME_MS) * FRAME_BYTES, `${bytes[4]} of the last turn`)
})
