'use strict'

// The page of `--timeline` in a real browser: its lanes, its sound, and the line that follows it.

const assert = require('node:assert/strict')
const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { after, before, test } = require('node:test')

const { jsonl, run, workspace } = require('../support/cli')
const { Browser, skip } = require('../support/browser')
const { tone } = require('../support/wav')

const FILES = { 'low.wav': tone(440, 3000), 'high.wav': tone(880, 1000) }
const REQUESTS = jsonl(
  { atMs: 0, type: 'play', requestId: 'music', audioUrl: 'low.wav', trackId: 1, stopOther: false },
  { atMs: 500, type: 'play', requestId: 'voice', audioUrl: 'high.wav', stopOther: false },
  { atMs: 500, type: 'play', requestId: 'none', audioUrl: 'none.wav', stopOther: false }
)

let browser

before(async () => {
  if (!skip) browser = await Browser.start()
})
after(() => browser?.stop())

/** Draws the timeline of the requests and opens it as a file. */
async function open(t) {
  const directory = workspace(t, { ...FILES, 'requests.jsonl': REQUESTS })
  await run(directory, ['replay', 'requests.jsonl', '--timeline', 'out.html'])
  return browser.open(pathToFileURL(path.join(directory, 'out.html')).href)
}

test('the lanes are seen in either theme', { skip }, async (t) => {
  const page = await open(t)
  const seen = () => page.evaluate(() => ({
    lanes: [...document.querySelectorAll('.lane')].filter((lane) => lane.getBoundingClientRect().height > 10).map((lane) => lane.querySelector('text').textContent),
    paper: getComputedStyle(document.body).backgroundColor,
    colour: getComputedStyle(document.querySelector('.lane .wave')).fill
  }))
  await page.prefer('light')
  const light = await seen()
  assert.deepEqual(light.lanes, ['voice', 'none', 'music'])
  await page.prefer('dark')
  const dark = await seen()
  assert.deepEqual(dark.lanes, light.lanes)
  assert.notEqual(dark.paper, light.paper)
  assert.notEqual(dark.colour, light.colour)
  assert.deepEqual(page.errors, [])
})

test('a line follows the sound, and a click seeks it', { skip }, async (t) => {
  const page = await open(t)
  const cursor = () => page.evaluate(() => {
    const line = document.querySelector('.cursor')
    return { isSeen: line.getAttribute('visibility') === 'visible', x: Number(line.getAttribute('x1')), ms: document.querySelector('audio').currentTime * 1000 }
  })
  assert.equal((await cursor()).isSeen, false)
  await page.evaluate(() => document.querySelector('audio').play())
  await page.until('the sound plays', () => document.querySelector('audio').currentTime > 0.5)
  const playing = await cursor()
  assert.ok(playing.isSeen && playing.x > 0, JSON.stringify(playing))
  await page.evaluate(() => document.querySelector('audio').pause())
  await page.click('svg.plays')
  await page.until('it was sought', () => !document.querySelector('audio').seeking)
  const middle = await page.evaluate(() => document.querySelector('svg.plays').viewBox.baseVal.width / 2)
  const sought = await cursor()
  assert.ok(Math.abs(sought.x - middle) < 3, JSON.stringify({ sought, middle }))
  assert.deepEqual(page.errors, [])
})
