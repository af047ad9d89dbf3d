'use strict'

// Text from elsewhere within a picture: names, reasons and messages can hold anything.

/** Characters that XML must not hold, that move a cursor, or that turn the direction of the text that follows. */
const UNSHOWABLE = /[\p{Cc}\p{Cs}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFFFE\uFFFF]/gu
/** Combining marks, which pile up on one letter. */
const PILE = /(\p{M}{3})\p{M}+/gu
/** Characters that are two columns wide. */
const WIDE = /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1F000}-\u{3FFFD}]/u
const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** Returns text escaped for XML, HTML and their attributes. */
function escaped(text) {
  return String(text).replace(UNSHOWABLE, '\uFFFD').replace(PILE, '$1').replace(/[&<>"']/g, (character) => ESCAPES[character])
}

/** Returns the width of a text in columns of a monospaced font. */
function columns(text) {
  return [...graphemes.segment(text)].reduce((sum, { segment }) => sum + (WIDE.test(segment) ? 2 : 1), 0)
}

/** Returns a text of at most this many columns, with its middle left out: the end of a path or id says as much as its beginning. */
function shortened(text, most) {
  const parts = [...graphemes.segment(String(text).slice(0, 10_000))].map(({ segment }) => segment)
  if (columns(text.slice(0, 10_000)) <= most) return text
  const [head, tail] = [[], []]
  let [left, front, back] = [most - 1, 0, parts.length - 1]
  while (front <= back) {
    const takesHead = head.length <= tail.length
    const part = parts[takesHead ? front : back]
    left -= WIDE.test(part) ? 2 : 1
    if (left < 0) break
    if (takesHead) head.push(parts[front++])
    else tail.unshift(parts[back--])
  }
  return `${head.join('')}…${tail.join('')}`
}

module.exports = { columns, escaped, shortened }
