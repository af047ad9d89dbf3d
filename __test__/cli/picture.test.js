'use strict'

// `--timeline`: the picture of a run, as an SVG and as an HTML page.

const assert = require('node:assert/strict')
const { existsSync, readFileSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { describe, it } = require('node:test')

const { page } = require('../../lib/cli/picture/page')
const { Trace } = require('../../lib/cli/picture/trace')
const { History } = require('../../lib/replay/history')
const { makeRequests } = require('../../lib/replay/requests')
const { level, readWav, tone } = require('../../lib/testing')
const { jsonl, run, workspace } = require('../support/cli')
const { open } = require('../support/session')
const { elements, parse } = require('../support/xml')

const FILES = { 'low.wav': tone(440, 1000), 'high.wav': tone(880, 500) }
const play = (atMs, requestId, audioUrl = 'low.wav', fields) => ({ atMs, type: 'play', requestId, audioUrl, stopOther: false, ...fields })

/** Replays lines with `--timeline` and returns the written file and the result. */
async function draw(t, lines, name = 'out.svg', ...args) {
  const directory = workspace(t, { ...FILES, 'requests.jsonl': jsonl(...lines) })
  const result = await run(directory, ['replay', 'requests.jsonl', '--timeline', name, ...args])
  return { ...result, directory, drawn: readFileSync(path.join(directory, name), 'utf8') }
}

const classed = (svg, name) => elements(svg).filter(({ attributes }) => (attributes.class ?? '').split(' ').includes(name))
const words = (svg) => elements(svg).filter(({ name }) => name === 'text').map(({ text }) => text)

describe('--timeline', () => {
  it('draws a lane for each playback, by track', async (t) => {
    const { exitCode, drawn } = await draw(t, [
      play(0, 'music', 'low.wav', { trackId: 1, volume: 0.5 }),
      play(200, 'voice', 'high.wav', { trackId: 0 }),
      play(300, 'gone', 'none.wav'),
      { atMs: 400, type: 'pause', requestId: 'music' },
      { atMs: 600, type: 'resume', requestId: 'music' },
      { atMs: 700, type: 'seek', requestId: 'music', positionMs: 100 },
      { atMs: 900, type: 'volume', requestId: 'music', volume: 1 },
      { atMs: 1000, type: 'stop', requestId: 'music', reason: 'user' }
    ])
    assert.equal(exitCode, 1, 'one is missing')
    const svg = parse(drawn)
    assert.equal(classed(svg, 'lane').length, 3)
    const told = words(svg)
    for (const expected of ['track 0 speaker', 'voice', '0.500 s', 'gone', 'ERR_FILE', 'track 1 app_audio', 'music', '0.810 s user', 'mix', '0 s', '1 s']) {
      assert.ok(told.includes(expected), `${expected} in ${told}`)
    }
    assert.ok(told.indexOf('track 0 speaker') < told.indexOf('voice') && told.indexOf('gone') < told.indexOf('track 1 app_audio'))
    for (const expected of ['pause music', 'seek music 0.100 s', 'volume music 1', 'stop music']) assert.ok(told.includes(expected), expected)
    const music = classed(svg, 'lane').find(({ text }) => text.startsWith('music'))
    assert.deepEqual(['level', 'wave', 'pause', 'seek', 'change', 'stop', 'cross'].map((name) => classed(music, name).length), [2, 2, 1, 1, 1, 1, 0])
    assert.match(music.text, /0\.405 s paused, resumed 0\.600 s/)
  })

  it('is deterministic, byte for byte', async (t) => {
    const lines = [{ type: 'session', overlap: 'queue', crossfadeMs: 200, duck: {} }, play(0, 'a'), play(0, 'b'), play(100, 'c', 'high.wav', { trackId: 1, role: 'voice' })]
    const [one, other] = [await draw(t, lines), await draw(t, lines)]
    assert.ok(one.drawn === other.drawn)
    assert.equal(classed(parse(one.drawn), 'wait').length, 2, 'b waits, and the legend has one')
  })

  it('escapes text from requests and servers', async (t) => {
    const evil = `<script>alert(1)</script>&"'\u202e\u0007 ]]>`
    const lines = [play(0, evil), { atMs: 100, type: 'stop', requestId: evil, reason: `${evil}<img src=x onerror=alert(1)>` }, play(200, '漢'.repeat(500)), play(200, `e${'\u0301'.repeat(9000)}`)]
    for (const name of ['out.svg', 'out.html']) {
      const { drawn } = await draw(t, lines, name)
      const all = elements(parse(drawn))
      assert.deepEqual(all.filter(({ name }) => name === 'img'), [])
      assert.equal(all.filter(({ name }) => name === 'script').length, name === 'out.html' ? 1 : 0)
      assert.ok(all.every(({ attributes }) => Object.keys(attributes).every((key) => !key.startsWith('on') && !key.endsWith('href'))))
      assert.ok(!/[\u0000-\u0008\u202e]/.test(drawn))
      assert.ok(words(parse(drawn)).every((text) => text.length < 200), 'and is cut')
      assert.ok(classed(parse(drawn), 'lane')[0].text.includes("<script>alert(1)</script>&\"'\ufffd\ufffd ]]>"), 'whole in its title')
    }
  })

  it('escapes file and user names too', async (t) => {
    const evil = '<b onload=x>&amp; "\''
    const lines = [{ user: evil, ...play(0, 'a') }, { user: 'other', ...play(0, 'a') }]
    const directory = workspace(t, { ...FILES, [`${evil}.jsonl`]: jsonl(...lines), 'one.jsonl': jsonl(play(0, 'a')) })
    for (const [file, name, tag] of [[`${evil}.jsonl`, 'users.svg', 'text'], [`${evil}.jsonl`, 'users.html', 'h2'], [`one.jsonl`, 'one.html', 'h1']]) {
      await run(directory, ['replay', file, '--timeline', name])
      const all = elements(parse(readFileSync(path.join(directory, name), 'utf8')))
      assert.ok(all.some((each) => each.name === tag && each.text === (file === 'one.jsonl' ? file : evil)), name)
      assert.ok(!all.some((each) => each.name === 'b'))
    }
  })

  it('draws a refused duplicate beside the first request', async (t) => {
    const lines = [play(0, 'a', 'low.wav'), play(100, 'a', 'high.wav'), { atMs: 300, type: 'volume', requestId: 'a', volume: 0.5 }, { atMs: 500, type: 'stop', requestId: 'a' }]
    const [first, second] = classed(parse((await draw(t, lines)).drawn), 'lane')
    assert.deepEqual(['level', 'change', 'stop', 'cross'].map((name) => classed(first, name).length), [1, 1, 1, 0])
    assert.deepEqual(['level', 'change', 'stop', 'cross'].map((name) => classed(second, name).length), [0, 0, 0, 1])
    assert.match(second.text, /ERR_DUPLICATE_REQUEST/)
  })

  it('embeds everything in the page, including the sound', async (t) => {
    const { drawn } = await draw(t, [play(0, 'low'), play(1500, 'high', 'high.wav')], 'out.html')
    const all = elements(parse(drawn))
    assert.doesNotMatch(drawn.replaceAll('http://www.w3.org/2000/svg', ''), /https?:|<link|@import|url\(/)
    const [{ attributes: { content } }] = all.filter(({ attributes }) => attributes['http-equiv'] === 'Content-Security-Policy')
    assert.match(content, /^default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'; media-src data:$/)
    const [{ attributes: { src } }] = all.filter(({ name }) => name === 'audio')
    const { sampleRate, samples } = readWav(Buffer.from(src.slice('data:audio/wav;base64,'.length), 'base64'))
    assert.equal(sampleRate, 24000)
    const heard = (fromMs, toMs) => [440, 880].map((hz) => level({ sampleRate, channels: 1, samples }, hz, fromMs, toMs) > 0.29)
    assert.deepEqual([heard(100, 900), heard(1100, 1400), heard(1600, 1900)], [[true, false], [false, false], [false, true]])
  })

  it('leaves out hours of silence', async (t) => {
    const lines = [play(0, 'early'), play(7_200_000, 'late', 'high.wav')]
    const { drawn } = await draw(t, lines, 'out.html')
    const all = elements(parse(drawn))
    assert.match(classed(parse(drawn), 'cut')[0].parent.text, /^1:59:5\d\.\d{3} in which nothing played/)
    const [{ attributes: { src } }] = all.filter(({ name }) => name === 'audio')
    const { samples, sampleRate } = readWav(Buffer.from(src.slice(src.indexOf(',') + 1), 'base64'))
    assert.ok(samples.length < 10 * sampleRate)
    assert.ok(words(parse(drawn)).includes('2:00:00'))
  })

  it('says how much sound is missing when too long', async (t) => {
    for (const [ms, expected] of [
      [2000, 'The mix, 16 bits at 24 kHz.'],
      [3000, 'The mix, as on a telephone.'],
      [15_000, 'The first 12.500 s of 15.000 s, as on a telephone: more is too long for a page. A WAV file (--out) has all of it.']
    ]) {
      const { session } = open(t)
      const trace = new Trace(session, { name: '', options: {}, audioBytes: 100_000, mostLanes: 10 })
      const request = { requestId: 'a', audio: tone(440, 1000), loop: true, durationMs: 1000 }
      await makeRequests(session, [{ atMs: 0, type: 'play', request }, { atMs: ms - 5, type: 'stop', request: {} }], new History(session), { onMade: (...made) => trace.made(...made) })
      await session.close()
      const drawn = page([{ ...(await trace.finish()), offsetMs: 0 }], { title: 'a' })
      assert.equal(elements(parse(drawn)).find(({ name }) => name === 'p').text, expected)
    }
  })

  it('draws users below each other and counts the rest', async (t) => {
    const users = Array.from({ length: 60 }, (_, n) => ({ user: `user ${n}`, ...play(10 * n, 'a', 'high.wav') }))
    const { exitCode, drawn } = await draw(t, users)
    assert.equal(exitCode, 0)
    const told = words(parse(drawn))
    assert.deepEqual(told.filter((text) => text.startsWith('user ')), Array.from({ length: 50 }, (_, n) => `user ${n}`))
    assert.ok(told.includes('and 10 users more'))
  })

  it('counts the omitted playbacks', async (t) => {
    const { drawn } = await draw(t, [{ type: 'session', maxConcurrent: 1000 }, ...Array.from({ length: 510 }, (_, n) => play(n, `${n}`, 'high.wav'))])
    assert.equal(classed(parse(drawn), 'lane').length, 500)
    assert.ok(words(parse(drawn)).includes('and 10 playbacks more'))
  })

  it('draws a run in which nothing played', async (t) => {
    for (const name of ['out.svg', 'out.html']) {
      const { exitCode, drawn } = await draw(t, [{ atMs: 0, type: 'stop' }], name)
      assert.equal(exitCode, 0)
      assert.ok(words(parse(drawn)).includes('Nothing was played'))
    }
  })

  it('is written beside a WAV file and by play', async (t) => {
    const directory = workspace(t, FILES)
    const { exitCode } = await run(directory, ['play', 'low.wav', 'high.wav', '--overlap', 'queue', '--timeline', 'out.svg', '--out', 'mix.wav'])
    assert.equal(exitCode, 0)
    assert.ok(existsSync(path.join(directory, 'mix.wav')))
    const told = words(parse(readFileSync(path.join(directory, 'out.svg'), 'utf8')))
    assert.ok(['low.wav', 'high.wav'].every((name) => told.includes(name)))
  })

  it('refuses unknown extensions, existing files and inputs', async (t) => {
    const directory = workspace(t, { ...FILES, 'mine.svg': 'mine' })
    const refused = async (...args) => {
      const { exitCode, stderr } = await run(directory, ['play', 'low.wav', ...args])
      assert.equal(exitCode, 2)
      return stderr
    }
    assert.match(await refused('--timeline', 'out.png'), /^Expected a name that ends in \.svg or \.html for --timeline but received out\.png/)
    assert.match(await refused('--timeline', 'mine.svg'), /^Expected a file that does not exist for --timeline but received mine\.svg; --force replaces it/)
    assert.match(await refused('--timeline', 'a.html', '--report', 'a.html'), /^Expected a file that is neither played nor replayed for --timeline/)
    writeFileSync(path.join(directory, 'wav.svg'), FILES['low.wav'])
    assert.match(await refused('wav.svg', '--timeline', 'wav.svg', '--force'), /^Expected a file that is neither played nor replayed for --timeline/)
    assert.equal(readFileSync(path.join(directory, 'mine.svg'), 'utf8'), 'mine')
  })
})

describe('the level of a lane', () => {
  /** Returns a tone of constant loudness, so that its heard level is the lane's level. */
  const [AMPLITUDE, LENGTH_MS] = [0.4, 2000]
  const audio = tone(1000, LENGTH_MS, { amplitude: AMPLITUDE }).toString('base64')
  const sound = (requestId, fields) => ({ atMs: 0, type: 'play', request: { requestId, audio: Buffer.from(audio, 'base64'), stopOther: false, ...fields } })

  for (const [what, options, requests] of [
    ['its volume and gain', { gain: 0.5 }, [sound('a', { volume: 0.6, gain: 1.5 })]],
    ['its fades', {}, [sound('a', { fadeInMs: 600, fadeOutMs: 500 })]],
    ['a stop', {}, [sound('a'), { atMs: 800, type: 'stop', request: { requestId: 'a', fadeOutMs: 700 } }]],
    ['an interruption', {}, [sound('a'), { atMs: 500, type: 'interrupt', request: { fadeOutMs: 700, afterMs: 300 } }]],
    ['changes of volume', {}, [sound('a'), { atMs: 300, type: 'volume', request: { requestId: 'a', volume: 0.2, fadeMs: 400 } }, { atMs: 500, type: 'volume', request: { volume: 0.9, fadeMs: 300 } }]],
    ['a volume before it sounds', { overlap: 'queue' }, [sound('b'), sound('a'), { atMs: 300, type: 'volume', request: { requestId: 'a', volume: 0.2, fadeMs: 400 } }]],
    ['the volume of its track', {}, [sound('a'), { atMs: 300, type: 'trackVolume', request: { trackId: 0, volume: 0.5, gain: 1.5, fadeMs: 800 } }]],
    ['ducking', { duck: { db: -15, attackMs: 200, releaseMs: 500 } }, [sound('a'), { ...sound('b', { role: 'voice', durationMs: 600, trackId: 1 }), atMs: 700 }]],
    ['ducking that is turned back', { duck: { db: -15, attackMs: 500, releaseMs: 500 } }, [sound('a', { role: 'ambient' }), { ...sound('b', { role: 'voice', durationMs: 200, trackId: 1 }), atMs: 700 }]],
    ['a crossfade in a queue', { overlap: 'queue', crossfadeMs: 600 }, [sound('a'), sound('b')]],
    ['a crossfade on replace', { overlap: 'replace', crossfadeMs: 600 }, [sound('a'), { ...sound('b'), atMs: 700 }]],
    ['a pause', {}, [sound('a', { fadeOutMs: 300 }), { atMs: 500, type: 'pause', request: {} }, { atMs: 900, type: 'resume', request: {} }]]
  ]) {
    it(`is that of the mix: ${what}`, async (t) => {
      const { session } = open(t, options)
      const trace = new Trace(session, { name: '', options, mostLanes: 10 })
      const history = new History(session)
      await makeRequests(session, requests, history, { onMade: (...made) => trace.made(...made) })
      await session.close()
      for (const { requestId, levels, wave } of (await trace.finish()).lanes) {
        assert.ok(levels.length > 0)
        for (const points of levels) {
          // Within the 5 ms fades, which are not drawn, and one period of the tone.
          for (let ms = points[0][0] + 30; ms < points.at(-1)[0] - 30; ms += 10) {
            const right = points.findIndex(([at]) => at > ms)
            const [[fromMs, from], [toMs, to]] = [points[right - 1], points[right]]
            const drawn = AMPLITUDE * (from + ((to - from) * (ms - fromMs)) / (toMs - fromMs))
            const { peak } = wave.between(ms - 10, ms + 10)
            assert.ok(Math.abs(drawn - peak) < 0.03, `${requestId} at ${ms} ms: drawn ${drawn}, heard ${peak}`)
          }
        }
      }
    })
  }
})
