#!/usr/bin/env node
'use strict'

// Takes the screenshots of the documentation in a real browser: `npm run screenshots`. Unlike the drawings of scripts/pictures.js they differ each time.

const { execFileSync } = require('node:child_process')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { pathToFileURL } = require('node:url')

const { startShowcase } = require('../examples/showcase/server')
const { Browser } = require('./chromium')

const root = path.join(__dirname, '..')
const IMAGES = path.join(root, 'docs', 'images')
/** In the tour of the showcase: two voices sound together, and the interruption before that is still in sight. */
const TOUR_MS = 16_500

/** The showcase, in the middle of its tour. */
async function showcase(browser) {
  const showcase = await startShowcase()
  try {
    const page = await browser.open(showcase.url, { width: 1240, height: 870 })
    await page.until('the page is ready', () => document.body.dataset.ready)
    await page.click('#tour')
    await sleep(TOUR_MS)
    return await page.screenshot()
  } finally {
    await showcase.close()
  }
}

/** The page of `--timeline`, in the middle of its sound. */
async function timeline(browser) {
  const folder = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  try {
    const file = path.join(folder, 'demo.html')
    execFileSync(process.execPath, ['bin/speaker-session.js', 'replay', 'examples/demo.jsonl', '--timeline', file], { cwd: root, stdio: 'ignore' })
    const page = await browser.open(pathToFileURL(file).href, { width: 1240, height: 620 })
    await page.evaluate(() => (document.querySelector('audio').currentTime = 6))
    await page.until('the line is there', () => document.querySelector('.cursor').getAttribute('visibility') === 'visible')
    return await page.screenshot()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function main() {
  const browser = await Browser.start()
  try {
    writeFileSync(path.join(IMAGES, 'showcase.png'), await showcase(browser))
    writeFileSync(path.join(IMAGES, 'timeline.png'), await timeline(browser))
  } finally {
    await browser.stop()
  }
}

main()
