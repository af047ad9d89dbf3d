#!/usr/bin/env node
'use strict'

// Draws the pictures of the documentation, docs/images, from the requests in examples/pictures: npm run pictures. A test holds them current.

const { execFileSync } = require('node:child_process')
const { readdirSync } = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '..')
const REQUESTS = path.join(root, 'examples', 'pictures')
const IMAGES = path.join(root, 'docs', 'images')
/** One of the playbacks fails, as it should. */
const WITH_FAILURES = 1

/** Draws all into a folder; returns the names of the files. */
function drawPictures(folder) {
  return readdirSync(REQUESTS).map((name) => {
    const picture = name.replace('.jsonl', '.svg')
    const args = ['bin/speaker-session.js', 'replay', path.join(REQUESTS, name), '--timeline', path.join(folder, picture), '--force']
    try {
      execFileSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
    } catch (error) {
      if (error.status !== WITH_FAILURES) throw error
    }
    return picture
  })
}

module.exports = { IMAGES, drawPictures }

if (require.main === module) console.log(drawPictures(IMAGES).join('\n'))
