'use strict'

// A real browser as the ear: a page of a server on loopback, which records what it hears by Web Audio (browser/ear.js).

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { readFileSync } = require('node:fs')
const http = require('node:http')
const path = require('node:path')

const { level, tonesIn } = require('../../lib/testing')
const { Browser, executable } = require('../../scripts/chromium')
const { whyUnavailable } = require('../../scripts/debian')

const SCRIPTS = { '/ear.js': 'browser/ear.js', '/recorder.js': 'browser/recorder.js' }
/** A listener on a busy machine may miss a part of a tone; one with a shorter gap than this is one. */
const GAP_MS = 500
/** How long silence lasts until everything has arrived: longer than any pause of a test. */
const SILENCE_MS = 1500
/** Whole periods of the tones of tests. */
const WINDOW_MS = 50

/** The reason why there is no browser to test with, or false. */
const skip = whyUnavailable(executable)

/** Returns a page that loads these scripts, and the ear. */
function earPage(...scripts) {
  const tags = ['/ear.js', ...scripts].map((src) => `<script src="${src}"></script>`).join('\n')
  return `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>ear</title>\n<link rel="icon" href="data:,">\n${tags}\n</html>\n`
}

/**
 * Serves pages on loopback, and the ear's scripts. `answers` maps a path to a page's text, to the absolute path of a script, or to a function of
 * request and response. Resolves with `{ url, close() }`.
 */
async function servePages(answers) {
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    const answer = SCRIPTS[pathname] ? path.join(__dirname, SCRIPTS[pathname]) : answers[pathname]
    if (answer === undefined) return response.writeHead(404).end()
    if (typeof answer === 'function') return answer(request, response)
    const isPage = answer.startsWith('<')
    response.setHeader('content-type', isPage ? 'text/html' : 'text/javascript')
    response.end(isPage ? answer : readFileSync(answer))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }
  return { url: `http://127.0.0.1:${server.address().port}`, close }
}

/** Waits until a page has heard something and is silent again, and returns the tones of these frequencies that it has heard since `ear.forget`. */
async function tonesHeard(page, frequencies) {
  await page.until('the page hears the end', (ms) => window.ear.silentMs() >= ms, SILENCE_MS)
  const bytes = Buffer.from(await page.evaluate(() => window.ear.samples()), 'base64')
  const samples = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  const heard = []
  for (const tone of tonesIn(samples, frequencies)) {
    const last = heard.findLast(({ hz }) => hz === tone.hz)
    if (last && tone.fromMs - last.toMs < GAP_MS) last.toMs = tone.toMs
    else heard.push(tone)
  }
  return Object.assign(heard, { samples })
}

/**
 * Asserts that tones were heard as the session has told: `{ hz, fromMs, toMs }`, as long, and all later by the same time; between two sounds a
 * listener's buffer may find another length, so that may differ by twice as much. Returns the largest difference.
 */
function assertHeard(heard, told, withinMs) {
  const shown = JSON.stringify({ heard, told })
  assert.deepEqual(heard.map(({ hz }) => hz), told.map(({ hz }) => hz), shown)
  const laterMs = heard[0]?.fromMs - told[0]?.fromMs
  const largest = (differences) => Math.max(...differences.map(Math.abs))
  const shifted = largest(told.map(({ fromMs }, n) => heard[n].fromMs - laterMs - fromMs))
  const stretched = largest(told.map(({ fromMs, toMs }, n) => heard[n].toMs - heard[n].fromMs - (toMs - fromMs)))
  assert.ok(stretched <= withinMs, `up to ${stretched} ms longer or shorter: ${shown}`)
  assert.ok(shifted <= 2 * withinMs, `up to ${shifted} ms earlier or later: ${shown}`)
  return Math.max(shifted, stretched)
}

/**
 * Asserts the level of a tone between two times, in decibels: the upper decile of its windows, because a listener on a busy machine may miss parts
 * of many, which makes them quieter and never louder.
 */
function assertLevel(samples, { hz, fromMs, toMs }, amplitude, withinDb) {
  const levels = []
  for (let ms = fromMs; ms + WINDOW_MS <= toMs; ms += WINDOW_MS) levels.push(level(samples, hz, ms, ms + WINDOW_MS))
  const db = 20 * Math.log10(levels.sort((a, b) => a - b)[Math.floor(levels.length * 0.9)] / amplitude)
  assert.ok(Math.abs(db) <= withinDb, `${hz} Hz is ${db.toFixed(1)} dB louder than ${amplitude}`)
}

module.exports = { Browser, assertHeard, assertLevel, earPage, servePages, skip, tonesHeard }
