'use strict'

// The pages of the documentation: their pictures are current, their links lead somewhere, and the README stays short.

const assert = require('node:assert/strict')
const { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { it } = require('node:test')

const { IMAGES, drawPictures } = require('../../scripts/pictures')

const root = path.join(__dirname, '..', '..')
/** As much as a reader accepts who does not know yet whether they want this. */
const MOST_WORDS = 750
/** The most bytes of a screenshot. */
const MOST_BYTES = 200_000

const read = (file) => readFileSync(path.join(root, file), 'utf8')
const inDocs = readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)
const pages = ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', ...inDocs]

it(`the README has at most ${MOST_WORDS} words`, () => {
  const words = read('README.md').split(/\s+/).filter(Boolean).length
  assert.ok(words <= MOST_WORDS, `${words} words`)
})

it('the pictures are up to date (npm run pictures)', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const drawn = drawPictures(folder)
  assert.deepEqual(readdirSync(IMAGES).filter((name) => name.endsWith('.svg')).sort(), drawn.sort())
  const stale = drawn.filter((name) => readFileSync(path.join(folder, name), 'utf8') !== readFileSync(path.join(IMAGES, name), 'utf8'))
  assert.deepEqual(stale, [])
})

it('every picture is shown in a page, and small', () => {
  const all = pages.map(read).join('')
  for (const name of readdirSync(IMAGES)) {
    assert.ok(all.includes(`images/${name})`), name)
    assert.ok(statSync(path.join(IMAGES, name)).size <= MOST_BYTES, name)
  }
})

it('every link leads to an existing file and heading', () => {
  const broken = []
  for (const page of pages) {
    const prose = read(page).replace(/^```[^]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')
    for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [file, anchor] = target.split('#')
      const found = file === '' ? page : path.join(path.dirname(page), file)
      if (!existsSync(path.join(root, found))) broken.push(`${page}: ${target}`)
      else if (anchor !== undefined && !anchors(found).includes(anchor)) broken.push(`${page}: ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

/** Returns the anchors of a page's headings, as GitHub makes them. */
function anchors(page) {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replace(/\s/g, '-'))
}

it('every page of docs is in its index', () => {
  const index = read('docs/README.md')
  assert.deepEqual(inDocs.filter((page) => page !== 'docs/README.md' && !index.includes(`(${path.basename(page)}`)), [])
})
