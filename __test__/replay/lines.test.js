'use strict'

// How the lines of a log are located in its file and read again.

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')

const { LinesOfFile } = require('../../lib/recording/lines')
const { random } = require('../support/random')
const { workspace } = require('../support/cli')

const MIB = 2 ** 20

test('locates every line across chunk boundaries', async (t) => {
  const number = random(3)
  // Characters of one to four bytes; some lines are longer than a chunk, and some end exactly with one.
  const text = (length) => Array.from({ length: Math.ceil(length / 8) }, () => ['a', 'é', '€', '😀', '"', '\\', ' ', '\t'][number(8)]).join('')
  const objects = [0, 1, MIB - 9, MIB, 2 * MIB + 5, ...Array.from({ length: 300 }, () => number(30_000))].map((length, n) => ({ n, text: text(length) }))
  const ends = ['\n', '\r\n', '\n\n', '\n# comment\n', '\n  // {"n":-1}\n']
  for (const last of ['', '\n']) {
    const content = objects.map((object, n) => JSON.stringify(object) + (n < objects.length - 1 ? ends[number(ends.length)] : last)).join('')
    const file = path.join(workspace(t, { 'log.jsonl': content }), 'log.jsonl')
    const lines = new LinesOfFile(file)
    lines.hold()
    const places = []
    for await (const place of lines) places.push(place)
    assert.deepEqual(places.map(({ at, length }) => lines.fields(at, length)), objects)
    // Line numbers are those of an editor.
    const all = content.split('\n')
    assert.deepEqual(places.map(({ number }) => JSON.parse(all[number - 1]).n), objects.map(({ n }) => n))
    lines.release()
  }
})

test('a file without lines has none', async (t) => {
  for (const content of ['', '\n', '# nothing', '\n\r\n  \n']) {
    const lines = new LinesOfFile(path.join(workspace(t, { 'log.jsonl': content }), 'log.jsonl'))
    lines.hold()
    for await (const line of lines) assert.fail(`there is one: ${JSON.stringify(line)}`)
    lines.release()
  }
})
