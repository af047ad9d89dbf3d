'use strict'

// examples/showcase in a real browser: each button does what it says, in the events that the page shows and in the levels that it draws.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const http = require('node:http')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { after, before, describe, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerSession } = require('../..')
const { startShowcase } = require('../../examples/showcase/server')
const { Browser, skip } = require('../support/browser')

const root = path.join(__dirname, '..', '..')

let browser

before(async () => {
  if (!skip) browser = await Browser.start()
})
after(() => browser?.stop())

/** Opens the page of a showcase that is ready. */
async function open(showcase) {
  const page = await browser.open(showcase.url, { width: 1240, height: 900 })
  await page.until('the page is ready', () => document.body.dataset.ready)
  return page
}

/** Returns the events in the page's log since it was emptied: `{ type, requestId, atMs, words }`. */
function eventsOf(page) {
  return page.evaluate(() => [...document.querySelectorAll('#log li:not(.call)')].map(({ className, dataset, childNodes }) => {
    return { type: className, requestId: dataset.requestId, atMs: Number(dataset.atMs), words: [...childNodes].map(({ textContent }) => textContent).join(' ') }
  }))
}

/** Waits for an event of a playback whose name begins so, and returns it. */
async function eventOf(page, type, name) {
  await page.until(`${type} ${name}`, (type, name) => document.querySelector(`#log .${type}[data-request-id^="${name}"]`), type, name)
  return (await eventsOf(page)).find((event) => event.type === type && event.requestId.startsWith(name))
}

/** Ends what plays and empties the log. */
async function clear(page) {
  await page.evaluate(() => window.showcase.call('stopAudio'))
  await page.until('nothing plays', () => window.showcase.live.length === 0)
  await page.evaluate(() => document.getElementById('log').replaceChildren())
}

/** Returns the mean of the levels that are drawn of the newest playback of this name, between two of the session's times, once the page has them. */
function levelOf(page, name, fromMs, toMs) {
  return page.until('the levels have come', (name, fromMs, toMs) => {
    const lane = [...window.showcase.lanes.values()].findLast(({ requestId }) => requestId.startsWith(name))
    const peaks = lane.wave.filter(([atMs]) => atMs >= fromMs && atMs < toMs).map(([, peak]) => peak)
    return lane.wave.at(-1)[0] >= toMs - 40 && peaks.reduce((sum, peak) => sum + peak, 0) / peaks.length
  }, name, fromMs, toMs)
}

/** Runs in the page: returns true if a playback whose name begins so is listed in this state. */
function isListed(name, state) {
  return [...document.querySelectorAll('#playbacks tbody tr')].some(({ cells }) => cells[0].textContent.startsWith(name) && cells[1].textContent === state)
}

/** Returns the colours of the picture's pixels, by how many have them. */
function coloursOf(page) {
  return page.evaluate(() => {
    const { canvas } = window.showcase.pen
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true })
    copy.drawImage(canvas, 0, 0)
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height)
    const counts = {}
    for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) counts[data.slice(at, at + 3)] = (counts[data.slice(at, at + 3)] ?? 0) + 1
    return counts
  })
}

describe('the showcase', { skip }, () => {
  let [showcase, page] = []

  before(async () => {
    showcase = await startShowcase()
    page = await open(showcase)
  })
  after(() => showcase?.close())

  const button = (name, what) => test(`${name}: ${what.name.replace(/([A-Z])/g, ' $1').toLowerCase()}`, async () => {
    await clear(page)
    await what()
    assert.deepEqual(page.errors, [])
  })

  button('Music', async function isHeardAndDrawn() {
    await page.click('#music')
    await eventOf(page, 'started', 'music')
    await page.until('it is listed', isListed, 'music', 'playing')
    await page.until('the page plays it', () => window.showcase.level() > 0.02)
    await page.until('its lane is drawn', () => [...window.showcase.lanes.values()].some(({ requestId, wave }) => requestId.startsWith('music') && wave.length > 20))
    const green = await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--c1').match(/\w\w/g).map((each) => Number.parseInt(each, 16)).join())
    for (let n = 0; !((await coloursOf(page))[green] > 200); n++) {
      assert.ok(n < 100, 'the picture has its colour')
      await sleep(100)
    }
  })

  button('Mix', async function playsBothAtOnce() {
    await page.click('#mix')
    const second = await eventOf(page, 'started', 'reminder')
    const first = await eventOf(page, 'completed', 'welcome')
    assert.ok(second.atMs < first.atMs)
    await eventOf(page, 'completed', 'reminder')
  })

  button('Queue', async function playsOneAfterTheOther() {
    await page.click('#queue')
    assert.match((await eventOf(page, 'queued', 'reminder')).words, /place 1/)
    await page.until('it is listed', isListed, 'reminder', 'queued 1')
    const second = await eventOf(page, 'started', 'reminder')
    const first = await eventOf(page, 'completed', 'welcome')
    assert.ok(Math.abs(second.atMs - first.atMs) < 1, 'without a gap')
  })

  button('Replace', async function endsTheFirst() {
    await page.click('#replace')
    assert.match((await eventOf(page, 'stopped', 'welcome')).words, /replaced/)
    await eventOf(page, 'completed', 'reminder')
  })

  button('Duck', async function lowersTheMusic() {
    await page.click('#duck')
    const voice = await eventOf(page, 'started', 'reminder')
    const { atMs } = await eventOf(page, 'completed', 'reminder')
    await page.until('it rises again', (atMs) => window.showcase.now() > atMs + 1500, atMs)
    const before = await levelOf(page, 'music', voice.atMs - 1000, voice.atMs - 100)
    const during = await levelOf(page, 'music', voice.atMs + 300, voice.atMs + 1500)
    assert.ok(during < before * 0.5 && during > before * 0.1, `${before}, ${during}`)
  })

  button('Interrupt', async function keepsTheMusicOnly() {
    await page.click('#music')
    await page.click('#queue')
    await eventOf(page, 'started', 'music')
    await eventOf(page, 'queued', 'reminder')
    await page.click('#interrupt')
    for (const name of ['welcome', 'reminder']) assert.match((await eventOf(page, 'stopped', name)).words, /barge-in/)
    await page.until('only the music is listed', () => window.showcase.live.length === 1 && window.showcase.live[0].requestId.startsWith('music') && window.showcase.live[0].state === 'playing')
  })

  button('Urgent', async function endsEverythingElse() {
    await page.click('#music')
    await page.click('#voice')
    for (const name of ['music', 'welcome']) await eventOf(page, 'started', name)
    await page.click('#urgent')
    for (const name of ['music', 'welcome']) assert.match((await eventOf(page, 'stopped', name)).words, /replaced/)
    await eventOf(page, 'completed', 'urgent')
  })

  button('Chime', async function plays() {
    await page.click('#chime')
    assert.match((await eventOf(page, 'completed', 'chime')).words, /heard 1\.500 s/)
  })

  button('Seek', async function movesTheMusic() {
    await page.click('#music')
    await eventOf(page, 'started', 'music')
    const position = () => page.evaluate(() => window.showcase.live[0].positionMs)
    await page.until('it has played', () => window.showcase.live[0].positionMs > 300)
    const beforeMs = await position()
    await page.click('#on')
    await eventOf(page, 'sought', 'music')
    await page.until('it is there', (ms) => window.showcase.live[0].positionMs >= ms, beforeMs + 2000)
    await page.evaluate(() => document.getElementById('log').replaceChildren())
    await page.click('#back')
    await eventOf(page, 'sought', 'music')
    await page.until('it is back', (ms) => window.showcase.live[0].positionMs < ms, beforeMs + 2000)
    await page.evaluate(() => {
      document.getElementById('log').replaceChildren()
      const slider = document.querySelector('#playbacks input')
      slider.value = 5000
      slider.dispatchEvent(new Event('change'))
    })
    assert.match((await eventOf(page, 'sought', 'music')).words, /at 5\.000 s/)
  })

  button('Volume', async function turnsTheMusicDown() {
    await page.click('#music')
    const { atMs } = await eventOf(page, 'started', 'music')
    await page.until('it has played', (atMs) => window.showcase.now() > atMs + 1300, atMs)
    await page.evaluate(() => document.getElementById('volume').focus())
    for (let n = 0; n < 10; n++) await page.press('ArrowLeft')
    await page.until('it was called', () => /setVolume\(\{ trackId: 1, volume: 0\.2/.test(document.getElementById('call').textContent))
    const fromMs = await page.evaluate(() => window.showcase.now() + 400)
    await page.until('it has played', (ms) => window.showcase.now() > ms + 800, fromMs)
    const [before, then] = [await levelOf(page, 'music', atMs + 300, atMs + 1300), await levelOf(page, 'music', fromMs, fromMs + 700)]
    assert.ok(then < before * 0.6 && then > 0, `${before}, ${then}`)
    assert.deepEqual((await eventsOf(page)).filter(({ type }) => type === 'sought'), [], 'the keys moved the slider only')
    await page.evaluate(() => document.activeElement.blur())
  })

  button('Pause', async function isResumedByTheSameButton() {
    await page.click('#music')
    await eventOf(page, 'started', 'music')
    await page.click('#pause')
    await eventOf(page, 'paused', 'music')
    await page.until('the button says so', () => document.getElementById('pause').textContent.startsWith('Resume'))
    await page.click('#pause')
    await eventOf(page, 'resumed', 'music')
  })

  button('Stop', async function fadesAllOut() {
    await page.click('#music')
    const { atMs } = await eventOf(page, 'started', 'music')
    await page.until('it has played', (atMs) => window.showcase.now() > atMs + 500, atMs)
    await page.click('#stop')
    const stopped = await eventOf(page, 'stopped', 'music')
    assert.match(stopped.words, /user/)
    const [loud, quiet] = [await levelOf(page, 'music', stopped.atMs - 700, stopped.atMs - 400), await levelOf(page, 'music', stopped.atMs - 60, stopped.atMs)]
    assert.ok(quiet < loud / 2, `${loud}, ${quiet}`)
  })

  button('■', async function stopsOne() {
    await page.click('#music')
    await page.click('#voice')
    for (const name of ['music', 'welcome']) await eventOf(page, 'started', name)
    await page.until('both are listed', () => document.querySelectorAll('#playbacks tbody tr').length === 2)
    await page.click('#playbacks [aria-label^="Stop welcome"]')
    assert.match((await eventOf(page, 'stopped', 'welcome')).words, /user/)
    assert.deepEqual((await eventsOf(page)).filter(({ type }) => type === 'stopped').length, 1)
  })

  button('keys', async function pressTheButtons() {
    for (const [key, type, name] of [['m', 'started', 'music'], ['c', 'started', 'chime'], ['ArrowRight', 'sought', 'music'], ['i', 'stopped', 'chime'], ['s', 'stopped', 'music']]) {
      await page.press(key)
      await eventOf(page, type, name)
    }
    for (const selector of ['#tour', '#music']) assert.ok(await page.evaluate((selector) => document.querySelector(selector).tabIndex === 0, selector))
  })

  button('Show me', async function playsAllOfIt() {
    await page.press('Enter')
    await eventOf(page, 'started', 'reminder')
    assert.match((await eventOf(page, 'stopped', 'reminder')).words, /barge-in/)
    assert.match((await eventOf(page, 'stopped', 'music')).words, /replaced/)
    await eventOf(page, 'completed', 'urgent')
    const failed = (await eventsOf(page)).filter(({ type }) => ['failed', 'refused', 'error'].includes(type))
    assert.deepEqual(failed, [])
  })

  test('a page that is closed closes its session', async () => {
    const { sessions } = SpeakerSession.processStats()
    const other = await open(showcase)
    assert.equal(SpeakerSession.processStats().sessions, sessions + 1)
    await other.close()
    for (let n = 0; SpeakerSession.processStats().sessions > sessions; n++) {
      assert.ok(n < 200, 'it is open')
      await sleep(50)
    }
  })

  test('it answers its own page only', async () => {
    const { host } = new URL(showcase.url)
    const ask = async (path, { headers, method = 'GET', body } = {}) => {
      const request = http.request(new URL(path, showcase.url), { method, headers: { host, ...headers } })
      request.end(body)
      const [response] = await once(request, 'response')
      response.resume()
      return response.statusCode
    }
    const call = (made) => ({ method: 'POST', body: JSON.stringify({ id: 'user-1', ...made }) })
    assert.equal(await ask('/'), 200)
    assert.equal(await ask('/', { headers: { host: 'example.com' } }), 403)
    assert.equal(await ask('/call', { ...call({ method: 'stopAudio' }), headers: { origin: 'https://example.com' } }), 403)
    assert.equal(await ask('/call', call({ method: 'stopAudio' })), 200)
    assert.equal(await ask('/call', call({ method: 'close' })), 400)
    assert.equal(await ask('/call', call({ method: 'playAudio', request: { audioUrl: '../../package.json' } })), 400)
    assert.equal(await ask('/call', call({ method: 'playAudio', request: null })), 400)
    assert.equal(await ask('/call', { ...call({}), body: '{' }), 400)
    assert.equal(await ask('/call', { ...call({}), body: 'x'.repeat(20_000) }), 400)
    assert.equal(await ask('/../package.json'), 404)
  })
})

test('--livekit: the page hears the session in a room', { skip }, async (t) => {
  const showcase = await startShowcase({ livekit: true })
  t.after(() => showcase.close())
  const page = await open(showcase)
  assert.equal(await page.evaluate(() => window.showcase.level()), 0)
  await page.press('m')
  await eventOf(page, 'started', 'music')
  await page.until('the page plays it', () => window.showcase.level() > 0.02)
  await page.press('s')
  await page.until('it is silent', () => window.showcase.level() < 0.001)
  assert.deepEqual(page.errors, [])
})

test('npm run demo -- --open prints the address and opens it', { skip: process.platform === 'win32' }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const opened = path.join(folder, 'opened')
  for (const name of ['xdg-open', 'open']) {
    writeFileSync(path.join(folder, name), `#!/bin/sh\necho "$1" > ${opened}\n`)
    chmodSync(path.join(folder, name), 0o755)
  }
  const env = { ...process.env, PATH: `${folder}${path.delimiter}${process.env.PATH}` }
  const demo = spawn(process.execPath, ['scripts/demo.js', '--open'], { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => demo.kill('SIGKILL'))
  const [line] = await once(demo.stdout.setEncoding('utf8'), 'data')
  const [url] = line.match(/http:\S+/)
  assert.equal((await fetch(url)).status, 200)
  for (let n = 0; !existsSync(opened) || readFileSync(opened, 'utf8') === ''; n++) {
    assert.ok(n < 200, 'it was not opened')
    await sleep(50)
  }
  assert.equal(readFileSync(opened, 'utf8').trim(), url)
  demo.kill('SIGTERM')
  assert.deepEqual(await once(demo, 'exit'), [0, null])
})
