'use strict'

// docs/formats.md lists what is played. Each row is checked with a file of its kind (__test__/fixtures/formats/): a played one sounds like
// ffmpeg's decoding, and a lossless one like the signal it was made of; one that is not played is refused.

const assert = require('node:assert/strict')
const { existsSync, readFileSync, readdirSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { open, finish } = require('../support/session')
const { compare, signal } = require('../support/sounds')

const FOLDER = path.join(__dirname, '..', 'fixtures', 'formats')
const FILES = readdirSync(FOLDER).filter((name) => name.includes('-'))

/** The longest packet of a codec: how much a decoder may add or leave out at the ends. */
const PACKET = 2048

/** Returns the name of a row's file. */
const slug = (...words) => words.map((word) => word.toLowerCase().replace(/µ/g, 'mu').replace(/[^a-z0-9]+/g, '-')).join('-')

/** Returns the rows of the table, `{ name, isPlayed }`. */
function rows() {
  const page = readFileSync(path.join(__dirname, '..', '..', 'docs', 'formats.md'), 'utf8')
  const cells = page.split('\n').filter((line) => line.startsWith('| ')).map((line) => line.split('|').map((cell) => cell.trim()))
  return cells.filter((row) => row[3] === '✔' || row[3] === '✘').map(([, container, codec, mark]) => ({ name: slug(container, codec), isPlayed: mark === '✔' }))
}

/** Plays a file and returns all of its samples. */
async function heard(t, file) {
  const { session, heard } = open(t)
  const playing = session.playAudio({ audioUrl: file })
  playing.catch(() => {})
  await finish(session)
  const { outcome, durationMs } = await playing
  assert.equal(outcome, 'completed')
  return heard().slice(0, Math.round(durationMs * 48))
}

const ROWS = rows()

test('rows and files match one to one', () => {
  assert.ok(ROWS.length > 40, `${ROWS.length} rows`)
  assert.deepEqual(ROWS.map(({ name }) => name).sort(), FILES.map((file) => path.parse(file).name).sort())
})

for (const { name, isPlayed } of ROWS) {
  const file = path.join(FOLDER, FILES.find((file) => path.parse(file).name === name) ?? name)
  if (!isPlayed) {
    test(`✘ ${name} is refused`, async (t) => {
      await assert.rejects(heard(t, file), { code: 'ERR_UNSUPPORTED_FORMAT' })
    })
    continue
  }
  test(`✔ ${name} sounds as it should`, async (t) => {
    const decoded = path.join(FOLDER, 'decoded', `${name}.flac`)
    const isLossy = existsSync(decoded)
    const expected = isLossy ? await heard(t, decoded) : signal()
    const { longer, late, alike, louder } = compare(await heard(t, file), expected)
    const facts = `${longer} samples longer, ${late} late, ${alike} alike, ${louder} as loud`
    assert.ok(Math.abs(longer) <= (isLossy ? PACKET : 1), facts)
    assert.ok(Math.abs(late) <= (isLossy ? 1 : 0), facts)
    assert.ok(alike >= (isLossy ? 0.99 : 0.9999), facts)
    assert.ok(Math.abs(louder - 1) <= (isLossy ? 0.03 : 0.001), facts)
  })
}
