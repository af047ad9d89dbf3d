'use strict'

// Finds the known name that an unknown one stands for: it is written differently, lacks its unit, is a word from other APIs, or is misspelt.

/** Names used by other APIs. The first one that is known where it is used is suggested. */
const SYNONYMS = {
  audioUrl: ['url', 'uri', 'src', 'source', 'file', 'path', 'href'],
  audio: ['buffer', 'data', 'bytes', 'stream', 'input'],
  requestId: ['id', 'playbackId'],
  trackId: ['track'],
  queuePosition: ['position', 'place', 'index'],
  positionMs: ['position', 'time', 'seek'],
  startMs: ['offset'],
  stopOther: ['stopOtherAudio', 'interrupt'],
  format: ['encoding', 'codec'],
  contentType: ['mimeType', 'mime'],
  channels: ['numChannels', 'channelCount'],
  identity: ['participant', 'participantIdentity'],
  url: ['serverUrl', 'host'],
  token: ['accessToken', 'jwt'],
  room: ['roomName']
}

/** No longer name is compared. */
const LONGEST = 40

/** Returns the one of `known` that most likely is meant by `name`; undefined if none is likely. */
function suggestion(name, known) {
  const lower = name.toLowerCase()
  if (lower.length > LONGEST) return undefined
  const same = known.find((one) => [lower, `${lower}ms`].includes(one.toLowerCase()))
  if (same) return same
  const other = known.find((one) => SYNONYMS[one]?.some((word) => word.toLowerCase() === lower))
  if (other) return other
  const [nearest] = known.map((one) => [distance(lower, one.toLowerCase()), one]).sort(([a], [b]) => a - b)
  return nearest && nearest[0] <= Math.max(1, Math.floor(lower.length / 3)) ? nearest[1] : undefined
}

/** Returns how many letters have to be inserted, deleted, changed or swapped with the next one (optimal string alignment). */
function distance(one, other) {
  const rows = [Array.from({ length: other.length + 1 }, (_, n) => n)]
  for (let i = 1; i <= one.length; i++) {
    const row = [i]
    for (let j = 1; j <= other.length; j++) {
      const differs = one[i - 1] !== other[j - 1]
      row[j] = Math.min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (differs ? 1 : 0))
      const isExchanged = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]
      if (isExchanged) row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1)
    }
    rows.push(row)
  }
  return rows[one.length][other.length]
}

module.exports = { suggestion }
